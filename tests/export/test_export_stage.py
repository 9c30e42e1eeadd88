"""A recipe with exports: refused before training where a format cannot hold the model, else made, proven, reused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import loquela
from loquela.artifacts.bundle import open_bundle
from loquela.artifacts.manifest import verify
from loquela.core.errors import ErrorCode, ProofError, RecipeError
from loquela.export.preflight import check_exports
from loquela.recipe.schema import Recipe
from loquela.runs.status import Phase
from loquela.runs.verify import verify_run
from loquela.stages import last_stage, stages_until
from test_trace_points import TINY

# Two steps of training leave a model that expects all tokens alike: agreement on the likeliest means little.
ALIKE = {"max_mean_kl": 0.05, "min_top1_agreement": 0.1, "max_loss_increase": 0.05}
EXPORTS = {
    "targets": [{"format": "onnx", "quantize": "int8"}, {"format": "safetensors"}],
    "held_out_tokens": 100,
    "limits_int8": ALIKE,
}


def recipe(folder: Path, **changes: object) -> Recipe:
    return Recipe.model_validate({**TINY, "output_directory": str(folder / "out"), "export": EXPORTS, **changes})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def test_a_run_ends_with_its_exports_and_does_not_make_them_twice(here: Path) -> None:
    run = loquela.run(recipe(here), quiet=True)
    assert run.status.current_phase == Phase.COMPLETE
    assert run.status.message == "complete"
    bundles = {path.name: open_bundle(path) for path in (run.directory / "exports").iterdir() if path.is_dir()}
    assert set(bundles) == {"onnx-int8", "safetensors"}
    served = next(run.directory / name for name in ("best", "final") if (run.directory / name).is_dir())
    assert bundles["onnx-int8"].manifest.parents == {"checkpoint": verify(served).digest}
    facts = run.manifest.stages["export"].facts
    assert facts["onnx-int8"]["digest"] == bundles["onnx-int8"].manifest.digest
    proofs = {proof.name: proof.passed for proof in verify_run(run.directory).proofs}
    assert proofs["exports/onnx-int8 whole"]
    assert proofs["exports/safetensors whole"]
    again = loquela.run(recipe(here), resume=str(run.directory), quiet=True)
    assert again.manifest.stages["export"].reused
    weights = run.directory / "exports" / "onnx-int8" / "model.onnx"
    weights.write_bytes(weights.read_bytes()[:-1])
    proofs = {proof.name: proof.passed for proof in verify_run(run.directory).proofs}
    assert not proofs["exports/onnx-int8 whole"]
    mended = loquela.run(recipe(here), resume=str(run.directory), quiet=True)
    assert not mended.manifest.stages["export"].reused
    assert open_bundle(weights.parent).manifest.digest == facts["onnx-int8"]["digest"]


def test_an_export_beyond_its_limits_fails_the_run_and_keeps_the_model(here: Path) -> None:
    limits = ALIKE | {"max_mean_kl": 1e-12}
    with pytest.raises(ProofError, match="the export onnx-int8 is too far from its model"):
        loquela.run(recipe(here, export=EXPORTS | {"limits_int8": limits}), quiet=True)
    directory = next((here / "out" / "runs").iterdir())
    assert json.loads((directory / "status.json").read_text())["current_phase"] == "failed"
    assert (directory / "final" / "model.safetensors").is_file()
    assert [path.name for path in (directory / "exports").iterdir()] == ["onnx-int8.failed.json"]


def test_an_impossible_export_is_refused_before_anything_is_written(here: Path) -> None:
    wanted = {"targets": [{"format": "torchscript", "quantize": "int4"}]}
    with pytest.raises(RecipeError, match="torchscript with int4 cannot be exported") as caught:
        loquela.run(recipe(here, export=wanted), quiet=True)
    assert caught.value.code == ErrorCode.UNSUPPORTED_FORMAT
    assert not (here / "out" / "runs").exists()


def test_proofs_of_the_preflight(here: Path) -> None:
    assert [proof.passed for proof in check_exports(recipe(here))] == [True, True]
    recurrent = recipe(here, export={"targets": [{"format": "gguf"}]}, model={"family": "lstm"})
    proof = check_exports(recurrent)[0]
    assert not proof.passed
    assert proof.code == ErrorCode.UNSUPPORTED_FORMAT
    assert check_exports(recipe(here, export=None)) == []


def test_where_a_recipe_ends(here: Path) -> None:
    assert last_stage(recipe(here)) == "export"
    assert last_stage(recipe(here, export={"targets": []})) == "evaluate"
    names = [stage.name for stage in stages_until("evaluate", recipe(here))]
    assert names == ["ingest", "tokenizer", "prepare", "train", "evaluate"]


def test_evaluate_alone_is_no_complete_run(here: Path) -> None:
    run = loquela.run(recipe(here), until="evaluate", quiet=True)
    assert run.status.message == "stopped after evaluate, as asked"
    assert not (run.directory / "exports").exists()
