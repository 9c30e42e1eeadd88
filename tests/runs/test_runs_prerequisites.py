"""Room and permission, checked where the output will lie, before anything is written."""

from pathlib import Path

import pytest

from loquela.core.errors import ErrorCode, ResourceError
from loquela.recipe.schema import Recipe
from loquela.runs.outcome import error_details, error_type
from loquela.runs.prerequisites import check_output, existing_ancestor, once_each, required_disk_mb
from loquela.runs.status import Phase


def test_room_for_every_checkpoint_that_is_kept_and_both_model_folders() -> None:
    """1 305 600 parameters are 5.2224 MB: 3 + (3 + 2) checkpoints of 3 tensors + 2 folders of 1 + 100."""
    recipe = Recipe.model_validate({"data": {"corpus_size_mb": 3}})
    assert required_disk_mb(recipe) == pytest.approx(3 + 17 * 5.2224 + 100)
    recipe.train.keep_checkpoints = 10
    assert required_disk_mb(recipe) == pytest.approx(3 + 38 * 5.2224 + 100)
    recipe.data.corpus_size_mb = 13
    assert required_disk_mb(recipe) == pytest.approx(13 + 38 * 5.2224 + 100)


def test_never_less_room_than_the_published_formula() -> None:
    """corpus + parameters × 4 bytes × 3 checkpoints + 100 MB, with the fewest checkpoints that a recipe may keep."""
    recipe = Recipe.model_validate({"data": {"corpus_size_mb": 3}, "train": {"keep_checkpoints": 1}})
    assert required_disk_mb(recipe) >= 3 + 3 * 5.2224 + 100


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


def test_a_problem_that_several_sources_share_is_said_once() -> None:
    assert once_each(["no such host", "disk full", "no such host"]) == "no such host; disk full"
