"""Mojibake: found by its signature, undone, and nothing else touched."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading_objects import SHARED, decoded

from loquela.core.errors import ResourceError
from loquela.data.encoding.mojibake import MojibakeRepair
from loquela.recipe.encoding_section import EncodingSection

REPAIR = MojibakeRepair()


@pytest.mark.parametrize("shown_as", ["latin-1", "cp1252", "cp1250", "mac-roman"])
def test_utf8_read_as_another_encoding_comes_back(shown_as: str) -> None:
    text = "Esta mañana el niño comió jamón en la montaña.\n"
    broken = text.encode().decode(shown_as)
    assert broken != text
    assert REPAIR.mend_text("Una línea sana.\n" + broken) == ("Una línea sana.\n" + text, 1)


def test_two_layers_come_off() -> None:
    text = "El niño está aquí.\n"
    broken = text.encode().decode("cp1252").encode().decode("cp1252")
    assert REPAIR.mend_text(broken) == (text, 1)


@pytest.mark.parametrize(
    "text",
    [
        "»Éstas fueron las razones que dio el riñón.",
        "—“¿Qué?”— ‘no’ … «Él» y ”Ésa”, ¡Íñigo!",
        "NÃO HÁ MANHÃ SEM AÇÃO; LUNEDÌ… È così.",
        "“Quotes” stay curly, ﬁ stays a ligature, ｆｕｌｌ stays wide, &amp; stays.",
        "Вчера ещё ёлка; Её «жёлтый» цвет.",
        "Χθες το βράδυ… 한국어 문장. 日本語の文。",
        "naïve café £5 €7 10° ½ © ® ™ ×",
    ],
)
def test_text_that_is_right_stays(text: str) -> None:
    assert REPAIR.mend_text(text) == (text, 0)


@given(st.text(st.characters(codec="utf-8"), max_size=40))
@settings(max_examples=60, deadline=None)
def test_mending_again_changes_nothing(text: str) -> None:
    once, _ = REPAIR.mend_text(text)
    assert REPAIR.mend_text(once)[0] == once


@given(st.text(st.sampled_from("áéíóúñüçàèâêôœ ¿¡«»“”—abcdef"), max_size=40))
@settings(max_examples=60, deadline=None)
def test_what_was_broken_by_windows_1252_comes_back_or_stays(text: str) -> None:
    broken = text.encode().decode("cp1252", "replace")
    mended, _ = REPAIR.mend_text(broken)
    assert mended in (text, broken) or "\ufffd" in broken or len(mended) < len(broken)


def test_the_repair_is_reported_counted_and_can_be_turned_off() -> None:
    data = "línea sana\nma\u00c3\u00b1ana\nfin\n".encode()
    found = decoded(data, EncodingSection())
    assert found.text == "línea sana\nmañana\nfin\n"
    assert found.report.repaired == {"mojibake": 1}
    assert found.changes == {"mojibake_repaired": -2}
    assert decoded(data, EncodingSection(repair_mojibake=False)).text == data.decode()


def test_a_missing_package_stops_only_where_there_is_mojibake(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ftfy", None)
    assert decoded("mañana".encode(), EncodingSection()).text == "mañana"
    with pytest.raises(ResourceError, match=r"repairing mojibake \(data.encoding\) needs the package ftfy"):
        decoded("ma\u00c3\u00b1ana".encode(), EncodingSection())


@pytest.mark.skipif(not SHARED.is_dir(), reason="the test data is not beside the checkout")
def test_mojibake_in_the_wild() -> None:
    rows = json.loads((SHARED / "documents/txt/ftfy_in_the_wild.json").read_text(encoding="utf-8"))
    wrong = [
        row["label"] for row in rows if REPAIR.mend_text(row["original"])[0] != row.get("fixed-encoding", row["fixed"])
    ]
    assert len(rows) == 70
    assert wrong == []


@pytest.mark.skipif(not SHARED.is_dir(), reason="the test data is not beside the checkout")
def test_whole_books_are_left_alone() -> None:
    for path in sorted((SHARED / "gutenberg").glob("*/*.txt")):
        text = path.read_text(encoding="utf-8")
        assert REPAIR.mend_text(text)[1] == 0, path
