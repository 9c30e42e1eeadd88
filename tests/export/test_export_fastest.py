"""What is taken where nobody asks: the fastest format for an export, and of a run the fastest export that is exact."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from loquela.artifacts.manifest import write_manifest
from loquela.core.errors import ErrorCode, RecipeError
from loquela.export.exporting import Export
from loquela.export.fastest import fastest_format
from loquela.export.source import find_model
from loquela.inference.exact_export import exact_export
from loquela.inference.open import open_engine
from loquela.models.build import build_model
from loquela.models.folder import read_config, save_model
from loquela.monitoring.events import SilentBus
from loquela.recipe.export_section import ExportSection, ExportTarget, ParityLimits
from toy_run import make_run

ANYTHING = ParityLimits(max_mean_kl=1e9, min_top1_agreement=0, max_loss_increase=1e9)
SECTION = ExportSection(held_out_tokens=64, limits_int8=ANYTHING, max_pruning_loss_increase=1e9)
LIBRARY = {"LlamaRuntime": "llama.cpp", "OnnxRuntime": "onnxruntime", "TorchRuntime": "torch"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    return {family: make_run(folder / family, family) for family in ("transformer", "lstm")}


@pytest.fixture
def run(made: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made["transformer"], tmp_path / "run"))


def export(run: Path, **target: object) -> Path:
    asked = ExportTarget.model_validate(target)
    source = find_model(run)
    return Export(source, asked, source.exports / asked.name, SECTION, run / "shards", SilentBus()).run().directory


def runtime_of(run: Path) -> str:
    engine = open_engine(run)
    engine.close()
    return LIBRARY[type(engine.runtime).__name__]


def test_the_format_is_llama_cpps_where_it_computes_the_network_and_onnx_elsewhere(made: dict[str, Path]) -> None:
    assert fastest_format(find_model(made["transformer"]), "int8") == "gguf"
    assert fastest_format(find_model(made["lstm"]), "int8") == "onnx"


def test_a_network_that_no_format_holds_is_refused_by_name(run: Path) -> None:
    settings = json.loads((run / "final/config.json").read_text())
    (run / "final/config.json").write_text(json.dumps(settings | {"model_type": "olmo2"}))
    write_manifest(run / "final", "checkpoint")
    with pytest.raises(RecipeError, match="the olmo2 in") as caught:
        fastest_format(find_model(run), "int8")
    assert caught.value.code == ErrorCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(("options", "name"), [([], "gguf-int8"), (["--quantize", "none"], "gguf")])
def test_the_command_without_a_format(run: Path, options: list[str], name: str) -> None:
    lenient = [part for key, value in (("max_mean_kl", 9), ("min_top1_agreement", 0), ("max_loss_increase", 9))
               for part in ("--set", f"export.limits_int8.{key}={value}")]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "loquela", "export", str(run), "--json", *options, *lenient],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["bundle"] == str(run / "exports" / name)


def test_a_run_is_computed_by_its_fastest_exact_export(run: Path) -> None:
    assert runtime_of(run) == "torch"
    export(run, format="gguf", quantize="int8")
    export(run, format="onnx", prune=0.5)
    assert runtime_of(run) == "torch", "these are other models than the run's"
    export(run, format="onnx")
    assert runtime_of(run) == "onnxruntime"
    export(run, format="gguf")
    assert runtime_of(run) == "llama.cpp"
    assert runtime_of(run / "final") == "torch", "who names the model itself gets it"


def test_an_export_of_another_checkpoint_is_left_alone(run: Path) -> None:
    export(run, format="gguf")
    assert exact_export(run, run / "final") == run / "exports/gguf"
    save_model(build_model(read_config(run / "final"), seed=8), run / "final", bos_id=2, eos_id=3, pad_id=0)
    write_manifest(run / "final", "checkpoint")
    assert exact_export(run, run / "final") is None
    assert runtime_of(run) == "torch"


def test_a_runtime_that_is_not_installed_is_passed_over(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(run, format="gguf")
    monkeypatch.setattr("loquela.inference.exact_export.find_spec", lambda package: None)
    assert exact_export(run, run / "final") is None
