"""A recipe from text to a checked export that may be promoted, and the ways in which it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

import loquela
from loquela.core.errors import ErrorCode, ProofError, RecipeError
from loquela.evaluation.deployment.preflight import check_targets
from loquela.evaluation.deployment.promotion import promote
from loquela.evaluation.deployment.report import read_report
from loquela.recipe.schema import Recipe
from loquela.runs.verify import verify_run
from loquela.stages import last_stage
from test_trace_points import TINY

pytest.importorskip("onnxruntime", reason="the extra serve is not installed")
pytest.importorskip("onnx", reason="the extra export is not installed")

# Two steps of training leave a model that expects all tokens alike: agreement on the likeliest means little.
ALIKE = {"max_mean_kl": 0.05, "min_top1_agreement": 0.1, "max_loss_increase": 0.05}
EXPORTS = {
    "targets": [{"format": "onnx"}, {"format": "onnx", "quantize": "int8"}],
    "held_out_tokens": 100,
    "continuation_tokens": 4,
    "limits_int8": ALIKE,
}
DEPLOY = {
    "max_latency_ms": 60_000,
    "load": {"requests": 3, "repeats": 1, "new_tokens": 2, "rate_per_second": 100},
}


def recipe(folder: Path, **changes: object) -> Recipe:
    parts = {"output_directory": str(folder / "out"), "export": EXPORTS, "deploy": DEPLOY}
    return Recipe.model_validate({**TINY, **parts, **changes})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def test_a_run_checks_its_exports_once_and_one_is_promoted(here: Path) -> None:
    assert last_stage(recipe(here)) == "deploy_check"
    run = loquela.run(recipe(here), quiet=True)
    facts = run.manifest.stages["deploy_check"].facts
    assert set(facts) == {"onnx", "onnx-int8"}
    for name in facts:
        report = read_report(run.directory / "deploy" / name / "deploy_report.json")
        assert report.passed
        assert report.bundle_digest == facts[name]["bundle_digest"]
    assert {proof.name: proof.passed for proof in verify_run(run.directory).proofs}["deploy whole"]
    # A promotion changes no artifact of the run.
    record = promote(run.directory / "exports" / "onnx-int8")
    assert record.bundle == "exports/onnx-int8"
    assert verify_run(run.directory).passed
    again = loquela.run(recipe(here), resume=str(run.directory), quiet=True)
    assert again.manifest.stages["export"].reused
    assert again.manifest.stages["deploy_check"].reused


@pytest.mark.slow
def test_an_export_that_is_too_slow_fails_the_run_and_keeps_the_reports(here: Path) -> None:
    wanted = DEPLOY | {"max_cold_start_seconds": 0.001}
    with pytest.raises(ProofError, match="did not pass its check: cold_start_seconds is") as caught:
        loquela.run(recipe(here, deploy=wanted), quiet=True)
    assert caught.value.code is ErrorCode.PERFORMANCE_BELOW_THRESHOLD
    directory = next((here / "out" / "runs").iterdir())
    # All are measured before the first is told.
    assert {path.name for path in (directory / "deploy").iterdir()} == {"onnx", "onnx-int8"}
    with pytest.raises(ProofError, match="is not promoted: it did not pass its check"):
        promote(directory / "exports" / "onnx")
    # The requirement was wrong: the exports are kept, only the check is made again.
    mended = loquela.run(recipe(here), resume=str(directory), quiet=True)
    assert mended.manifest.stages["export"].reused
    assert not mended.manifest.stages["deploy_check"].reused


def test_a_check_of_nothing_is_refused_before_anything_is_written(here: Path) -> None:
    with pytest.raises(RecipeError, match="the recipe has a section deploy, but exports nothing"):
        loquela.run(recipe(here, export=None), quiet=True)
    assert not (here / "out" / "runs").exists()
    assert check_targets(recipe(here, deploy=None)) == []
    assert check_targets(recipe(here))[0].message == "will check onnx, onnx-int8"
