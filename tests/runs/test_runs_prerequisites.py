"""Room and permission, checked where the output will lie, before anything is written."""

from pathlib import Path

import pytest

from loquela.core.errors import ErrorCode, ResourceError
from loquela.recipe.schema import Recipe
from loquela.runs.outcome import error_details, error_type
from loquela.runs.prerequisites import check_output, existing_ancestor, required_disk_mb
from loquela.runs.status import Phase


def test_the_published_formula_and_the_moments() -> None:
    """2.45 M parameters, 3 MB of text: 3 + 29.4 + 100 = 132.4 MB, and twice 29.4 MB of optimizer moments."""
    recipe = Recipe.model_validate({"data": {"corpus_size_mb": 3}})
    bare = Recipe.model_validate({"data": {"corpus_size_mb": 13}})
    assert required_disk_mb(bare) - required_disk_mb(recipe) == pytest.approx(10)
    from loquela.models.config import model_config
    from loquela.models.size import parameter_count

    weights = parameter_count(model_config(recipe.model, recipe.tokenizer.vocab_size)) * 4 / 1e6
    assert required_disk_mb(recipe) == pytest.approx(3 + 9 * weights + 100)


def test_the_nearest_folder_that_exists_is_looked_at(tmp_path: Path) -> None:
    assert existing_ancestor(tmp_path / "a" / "b" / "c") == tmp_path
    (tmp_path / "file").write_text("x")
    proofs = check_output(Recipe(output_directory=tmp_path / "file" / "data"))
    assert [(proof.name, proof.passed) for proof in proofs] == [("write_permission", False), ("disk_space", True)]
    assert "is not writable" in proofs[0].message


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (ErrorCode.DISK_FULL, "disk_space"),
        (ErrorCode.NETWORK_ERROR, "network"),
        (ErrorCode.TIMEOUT, "network"),
        (ErrorCode.OOM, "oom"),
        (ErrorCode.VALIDATION_FAILED, "validation_failure"),
        (ErrorCode.PERFORMANCE_BELOW_THRESHOLD, "validation_failure"),
        (ErrorCode.DATA_CHANGED, "other"),
        (ErrorCode.INTERNAL, "other"),
    ],
)
def test_every_code_has_its_category(code: ErrorCode, kind: str) -> None:
    assert error_type(code) == kind


def test_details_of_known_and_unknown_errors() -> None:
    log = "\n".join(f"line {n}" for n in range(80))
    known = error_details(ResourceError(ErrorCode.OOM, "too big", "make it smaller"), Phase.MODEL_TRAINING, log)
    assert (known.error_type, known.error_message, known.remedy) == ("oom", "too big", "make it smaller")
    assert known.stderr_output.splitlines() == [f"line {n}" for n in range(30, 80)]
    bug = error_details(ZeroDivisionError("by zero"), Phase.VALIDATION, "")
    assert (bug.code, bug.error_message) == ("INTERNAL", "ZeroDivisionError: by zero")
    assert "report this" in bug.remedy
