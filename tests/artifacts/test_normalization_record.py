"""The rules of normalisation, and their record beside a tokenizer."""

import pytest

from loquela.artifacts.normalization import normalize_text, read_normalization, write_normalization
from loquela.core.errors import DataError
from loquela.recipe.schema import NormalizationSection


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"unicode": "none"}, "E\u0301\ufb01\u200b\tX\n"),
        ({"unicode": "nfc"}, "É\ufb01\u200b\tX\n"),
        ({"unicode": "nfkc"}, "Éfi\u200b\tX\n"),
        ({"unicode": "nfc", "lowercase": True}, "é\ufb01\u200b\tx\n"),
        ({"unicode": "none", "remove_special_chars": True}, "E\u0301\ufb01\tX\n"),
        ({"unicode": "nfkc", "lowercase": True, "remove_special_chars": True}, "éfi\tx\n"),
    ],
)
def test_every_step_does_its_own_and_no_more(settings, expected):
    assert normalize_text("E\u0301\ufb01\u200b\tX\n", NormalizationSection(**settings)) == expected


def test_the_record_is_read_back(tmp_path):
    section = NormalizationSection(unicode="nfkc", lowercase=True)
    write_normalization(tmp_path, section)
    assert read_normalization(tmp_path) == section


def test_a_folder_made_elsewhere_leaves_text_alone(tmp_path):
    assert normalize_text("E\u0301", read_normalization(tmp_path)) == "E\u0301"


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / "normalization.json").write_text('{"unicode": "nfz"}')
    with pytest.raises(DataError, match=r"normalization\.json is no record of a normalisation"):
        read_normalization(tmp_path)
