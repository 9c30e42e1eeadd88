"""An export from a run to a published bundle: measured, whole, readable by its consumers; or nothing and a report."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import seed_text
from loquela.artifacts.bundle import open_bundle
from loquela.artifacts.context import StageContext
from loquela.artifacts.folders import remove_abandoned
from loquela.core.errors import DataError, ErrorCode, Interrupted, ProofError, RecipeError, ResourceError
from loquela.export.contracts import ModelExporterRequest
from loquela.export.exporting import Export
from loquela.export.formats.torchscript.exporter import empty_shapes
from loquela.export.model_exporter import ModelExporter, error_of
from loquela.export.report import read_report
from loquela.export.source import find_model
from loquela.export.stage import export as export_stage
from loquela.inference.contracts import GenerateRequest
from loquela.inference.open import open_engine
from loquela.inference.runtimes.torchscript import open_runtime as open_torchscript
from loquela.models.folder import load_model
from loquela.monitoring.events import EventBus, SilentBus
from loquela.recipe.export_section import ExportSection, ExportTarget, ParityLimits
from loquela.recipe.schema import Recipe
from toy_run import make_run

ROOT = Path(__file__).parents[2]
COMBINATIONS = [
    ("safetensors", "none"),
    ("onnx", "none"),
    ("onnx", "int8"),
    ("onnx", "int4"),
    ("torchscript", "none"),
    ("torchscript", "int8"),
]
# An untrained model expects all tokens about equally: the likeliest changes for nothing.
LENIENT = ExportSection(
    held_out_tokens=200,
    limits_int8=ParityLimits(max_mean_kl=0.01, min_top1_agreement=0.5, max_loss_increase=0.01),
    limits_int4=ParityLimits(max_mean_kl=0.1, min_top1_agreement=0.2, max_loss_increase=0.1),
    max_pruning_loss_increase=1.0,
)


@pytest.fixture(scope="module", params=["transformer", "lstm", "gru"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp(request.param) / "run", request.param)


@pytest.fixture(scope="module")
def transformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("one") / "run")


def export(run: Path, place: Path, section: ExportSection = LENIENT, bus: object = None, **target: object):
    asked = ExportTarget.model_validate({"format": "onnx"} | target)
    return Export(find_model(run), asked, place, section, run / "shards", bus or SilentBus()).run()


@pytest.mark.parametrize(("form", "quantize"), COMBINATIONS)
def test_every_combination_is_published_and_written_with(run: Path, form: str, quantize: str, tmp_path: Path) -> None:
    bundle = export(run, tmp_path / "out", format=form, quantize=quantize)
    report = read_report(bundle.directory)
    assert report.passed
    assert report.logits.tokens == 200
    assert "validation split" in report.logits.text
    assert report.tokenizer.equal == report.tokenizer.strings == 200
    assert bundle.manifest.parents == {"checkpoint": find_model(run).digest} == {"checkpoint": report.checkpoint_digest}
    assert (bundle.facts.format, bundle.facts.quantization) == (form, quantize)
    assert len(bundle.facts.golden) == 5
    card = (bundle.directory / "README.md").read_text()
    assert bundle.facts.scheme in card
    assert "loquela generate" in card
    if quantize == "none":
        assert report.logits.max_logit_difference < 1e-5
        assert all(each.same == len(each.reference_ids) == 16 for each in report.continuations)
    with_model, with_bundle = (
        open_engine(place).generate(GenerateRequest(prompt_text="Once upon", max_new_tokens=4, temperature=0))
        for place in (run, bundle.directory)
    )
    assert quantize != "none" or with_model.outputs == with_bundle.outputs


def test_safetensors_are_read_by_transformers(transformer: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    bundle = export(transformer, tmp_path / "out", format="safetensors")
    place = bundle.directory / bundle.facts.model_file
    tokens = torch.arange(4, 24)[None]
    with torch.inference_mode():
        theirs = transformers.AutoModelForCausalLM.from_pretrained(place)(tokens).logits
        ours = load_model(transformer / "final")(tokens)
    torch.testing.assert_close(theirs, ours, atol=2e-5, rtol=0)
    assert transformers.AutoTokenizer.from_pretrained(place).decode([4, 5]) != ""


def test_torchscript_runs_in_a_process_without_our_code(run: Path, tmp_path: Path) -> None:
    bundle = export(run, tmp_path / "out", format="torchscript")
    prompt = bundle.facts.golden[0]
    program = (
        "import sys, json, torch\n"
        "model = torch.jit.load(sys.argv[1])\n"
        "state = [torch.zeros(shape) for shape in json.loads(sys.argv[2])]\n"
        "tokens, written = json.loads(sys.argv[3]), []\n"
        "for _ in range(16):\n"
        "    logits, *state = model(torch.tensor([tokens]), *state)\n"
        "    tokens = [int(logits[0, -1].argmax())]\n"
        "    written += tokens\n"
        "assert 'loquela' not in sys.modules\n"
        "print(json.dumps(written))\n"
    )
    shapes = json.dumps(empty_shapes(load_model(run / "final").config))
    arguments = [str(bundle.directory / "model.pt"), shapes, json.dumps(prompt.prompt_ids)]
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, *arguments], capture_output=True, text=True, check=True, timeout=120
    )
    assert json.loads(done.stdout) == prompt.continuation_ids


def test_pruning_sets_the_smallest_to_zero_and_says_what_it_costs(transformer: Path, tmp_path: Path) -> None:
    bundle = export(transformer, tmp_path / "out", format="safetensors", prune=0.5)
    before = load_model(transformer / "final").state_dict()
    after = load_model(bundle.directory / "model").state_dict()
    name = "blocks.0.feed_forward.up.weight"
    gone = after[name] == 0
    assert int(gone.sum()) == before[name].numel() // 2
    assert float(before[name][gone].abs().max()) <= float(before[name][~gone].abs().min())
    assert torch.equal(before["token_embedding"], after["token_embedding"])
    assert torch.equal(before[name][~gone], after[name][~gone])
    pruning = read_report(bundle.directory).pruning
    assert pruning is not None
    assert pruning.zeros == sum(int((value == 0).sum()) - int((before[key] == 0).sum()) for key, value in after.items())
    assert pruning.loss_after == pytest.approx(read_report(bundle.directory).logits.loss, abs=1e-6)
    assert pruning.loss_before != pruning.loss_after
    assert bundle.facts.pruning == 0.5


def test_an_export_too_far_from_its_model_is_not_published(transformer: Path, tmp_path: Path) -> None:
    place = tmp_path / "exports" / "onnx-int4"
    strict = LENIENT.model_copy(
        update={"limits_int4": ParityLimits(max_mean_kl=1e-12, min_top1_agreement=1.0, max_loss_increase=1e-12)}
    )
    with pytest.raises(ProofError, match="is too far from its model: the mean KL is .* nothing is published") as caught:
        export(transformer, place, strict, quantize="int4")
    assert caught.value.code == ErrorCode.OPTIMIZATION_ERROR
    assert error_of(caught.value).error_code == "OPTIMIZATION_ERROR"
    kept = place.with_name("onnx-int4.failed.json")
    assert [path.name for path in place.parent.iterdir()] == [kept.name]
    assert json.loads(kept.read_text())["failures"][0].startswith("the mean KL is")
    export(transformer, place, quantize="int4")
    assert not kept.exists(), "the export is good now"


def test_an_unquantised_export_that_differs_is_a_failed_export(transformer: Path, tmp_path: Path) -> None:
    strict = LENIENT.model_copy(
        update={"limits": ParityLimits(
            max_logit_difference=1e-12, max_mean_kl=1.0, min_top1_agreement=0.0, max_loss_increase=1.0
        )}
    )  # fmt: skip
    with pytest.raises(ProofError, match="a logit differs by") as caught:
        export(transformer, tmp_path / "out", strict)
    assert caught.value.code == ErrorCode.EXPORT_FAILED


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"format": "safetensors", "quantize": "int8"}, "safetensors with int8 cannot be exported: a folder of"),
        ({"format": "torchscript", "quantize": "int4"}, "torchscript with int4 cannot be exported: PyTorch has no"),
    ],
)
def test_impossible_combinations_are_refused(transformer: Path, tmp_path: Path, target: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        export(transformer, tmp_path / "out", **target)
    assert caught.value.code == ErrorCode.UNSUPPORTED_FORMAT
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_export_is_not_replaced(transformer: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("three years of work")
    with pytest.raises(RecipeError, match="exists and is no export"):
        export(transformer, tmp_path / "out")
    assert (tmp_path / "out" / "thesis.txt").read_text() == "three years of work"


def test_a_checkpoint_without_its_manifest_and_a_damaged_one(transformer: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(transformer, copy)
    (copy / "final" / "manifest.json").rename(copy / "kept.json")
    with pytest.raises(DataError, match=r"has no manifest\.json, so nothing says that it is whole"):
        export(copy, tmp_path / "out")
    (copy / "kept.json").rename(copy / "final" / "manifest.json")
    weights = copy / "final" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(DataError, match="is damaged") as caught:
        export(copy, tmp_path / "out")
    assert caught.value.code == ErrorCode.CORRUPTION


def test_a_folder_from_elsewhere_needs_no_manifest(transformer: Path, tmp_path: Path) -> None:
    folder = tmp_path / "from-elsewhere"
    shutil.copytree(transformer / "final", folder)
    (folder / "manifest.json").unlink()
    source = find_model(folder)
    assert (source.run, source.name, source.exports.name) == (None, "from-elsewhere", "from-elsewhere-exports")
    bundle = Export(source, ExportTarget(format="onnx"), tmp_path / "out", LENIENT, None, SilentBus()).run()
    assert "text that the model wrote itself" in read_report(bundle.directory).logits.text


def test_a_damaged_bundle_is_told(transformer: Path, tmp_path: Path) -> None:
    bundle = export(transformer, tmp_path / "out")
    path = bundle.directory / "model.onnx"
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"the SHA-256 of model\.onnx is not the one in the manifest"):
        open_bundle(bundle.directory)
    path.unlink()
    with pytest.raises(DataError, match=r"model\.onnx is missing"):
        open_bundle(bundle.directory)


def test_a_bundle_cannot_name_a_file_outside(transformer: Path, tmp_path: Path) -> None:
    from loquela.artifacts.bundle import read_facts, write_facts
    from loquela.artifacts.manifest import write_manifest

    bundle = export(transformer, tmp_path / "out")
    facts = read_facts(bundle.directory)
    (tmp_path / "elsewhere.onnx").write_bytes(b"x")
    facts.model_file = "../elsewhere.onnx"
    write_facts(bundle.directory, facts)
    write_manifest(bundle.directory, "bundle")
    with pytest.raises(DataError, match="names the model file '../elsewhere.onnx', which is not in it"):
        open_bundle(bundle.directory)
    (bundle.directory / "bundle.json").write_text("{}")
    with pytest.raises(DataError, match="cannot be read as the facts of a bundle"):
        read_facts(bundle.directory)
    (bundle.directory / "export_report.json").write_text("{}")
    with pytest.raises(DataError, match="cannot be read as the report of an export"):
        read_report(bundle.directory)


def test_a_killed_export_leaves_nothing_under_its_name(transformer: Path, tmp_path: Path) -> None:
    place = tmp_path / "onnx"
    export(transformer, place)
    before = open_bundle(place).manifest.record_digest
    done = subprocess.run(
        [sys.executable, "-m", "loquela", "export", str(transformer), "--format", "onnx", "--output", str(place)],
        env=os.environ | {"LOQUELA_CRASH_AT": "before_swap"},
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL
    assert open_bundle(place).manifest.record_digest == before, "the old one stands, whole"
    left = [path.name for path in tmp_path.iterdir() if path != place]
    assert len(left) == 1
    assert left[0].startswith(".tmp-onnx-")
    remove_abandoned(place)
    assert [path.name for path in tmp_path.iterdir()] == ["onnx"]


@pytest.mark.parametrize("form", ["onnx", "torchscript"])
def test_an_export_killed_while_it_writes_leaves_nothing_under_its_name(
    transformer: Path, tmp_path: Path, form: str
) -> None:
    place = tmp_path / "bundle"
    process = subprocess.Popen(
        [sys.executable, "-m", "loquela", "export", str(transformer), "--format", form, "--output", str(place)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while process.poll() is None and not any(tmp_path.glob(".tmp-bundle-*/*")):
        time.sleep(0.001)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert [path.name[:11] for path in tmp_path.iterdir()] == [".tmp-bundle"]
    # The next one clears away what was left, and is whole.
    export(transformer, place, format=form)
    assert open_bundle(place).facts.format == form
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_weights_that_are_too_large_for_one_file_lie_beside_the_graph(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = export(run, tmp_path / "whole", quantize="int8")
    monkeypatch.setattr("loquela.export.formats.onnx.graph.LARGEST_IN_ONE_FILE", 0)
    bundle = export(run, tmp_path / "parted", quantize="int8")
    graph, weights = bundle.directory / "model.onnx", bundle.directory / "model.onnx.data"
    assert graph.stat().st_size < (whole.directory / "model.onnx").stat().st_size
    assert weights.stat().st_size > 0
    assert "model.onnx.data" in [record.path for record in bundle.manifest.files]
    assert bundle.facts.golden == whole.facts.golden
    moved = bundle.directory.rename(tmp_path / "moved")
    request = GenerateRequest(prompt_text="Once upon", max_new_tokens=4, temperature=0)
    assert open_engine(moved).generate(request).outputs == open_engine(whole.directory).generate(request).outputs
    (moved / "model.onnx.data").write_bytes((moved / "model.onnx.data").read_bytes()[:-8])
    with pytest.raises(DataError, match=r"model.onnx.data has \d+ bytes"):
        open_engine(moved)


def test_a_full_disk_is_told_and_leaves_nothing(
    transformer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("onnx.save_model", full)
    with pytest.raises(ResourceError, match="no space left on the file system") as caught:
        export(transformer, tmp_path / "out")
    assert caught.value.code == ErrorCode.DISK_FULL
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_told_with_its_install_line(
    transformer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ResourceError, match="exporting to ONNX needs the package onnx, which is not installed") as told:
        export(transformer, tmp_path / "out")
    assert told.value.remedy == 'pip install "loquela[export]"'


def test_the_component_traces_and_answers(transformer: Path, tmp_path: Path) -> None:
    bus, told = EventBus(), []
    bus.subscribe(lambda event: told.append((event.component, event.name)))
    exporter = ModelExporter(bus, LENIENT, shards=transformer / "shards", pruning_share=0.1)
    request = ModelExporterRequest.model_validate(
        {
            "checkpoint_path": str(transformer / "final"),
            "export_format": "onnx",
            "optimization": {"quantization": "int8", "pruning": True},
        }
    )
    result = exporter.export(request, tmp_path / "out")
    assert told == [
        ("ModelExporter", f"model_exporter.{point}.v1")
        for point in ("export_start", "optimization_applied", "export_complete")
    ]
    bundle = exporter.bundles[result.export_id]
    assert (result.export_path, result.format, result.inference_ready) == (str(tmp_path / "out"), "onnx", True)
    files = [path for path in bundle.directory.rglob("*") if path.is_file() and path.name != "manifest.json"]
    size = sum(path.stat().st_size for path in files)
    assert result.size_mb == pytest.approx(size / 1e6)
    assert bundle.facts.pruning == 0.1


@pytest.mark.skipif(not seed_text.seed("000"), reason="the specification is not beside the checkout")
def test_trace_points_are_those_of_the_specification() -> None:
    part = next(part for part in seed_text.components(seed_text.seed("000")) if part.name == "ModelExporter")
    assert list(part.trace_points) == ["export_start", "optimization_applied", "export_complete"]


def test_the_command(transformer: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(transformer, copy)
    arguments = ["export", str(copy), "--format", "onnx", "--quantize", "int8", "--json"]
    done = subprocess.run([sys.executable, "-m", "loquela", *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["bundle"] == str(copy / "exports" / "onnx-int8")
    assert answer["report"]["failures"] == []
    wrong = subprocess.run(
        [sys.executable, "-m", "loquela", "export", str(copy), "--format", "onnx", "--prune", "1.5"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert wrong.returncode == 2
    assert "prune is 1.5" in wrong.stderr


def test_numbers_of_parity_by_hand() -> None:
    from loquela.export.parity.held_out import HeldOut
    from loquela.export.parity.logits import compare

    class Fixed:
        vocab_size, context = 3, 8

        def __init__(self, rows: list[list[float]]) -> None:
            self.rows = np.array(rows, dtype=np.float32)

        def logits(self, tokens: list[int]) -> np.ndarray:
            return self.rows[: len(tokens)]

    # Row 0: (1/2, 1/2) against (1/4, 3/4); row 1: equal. The third column is padding.
    reference = Fixed([[0.0, 0.0, 9.0], [1.0, 0.0, 9.0]])
    exported = Fixed([[0.0, float(np.log(3)), -9.0], [1.0, 0.0, -9.0]])
    found = compare(reference, exported, HeldOut("by hand", [[0, 1]], 2.0), 2)
    kl = 0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)
    assert found.tokens == 2
    assert found.max_kl == pytest.approx(kl, abs=1e-6)
    assert found.mean_kl == pytest.approx(kl / 2, abs=1e-6)
    assert found.max_logit_difference == pytest.approx(np.log(3))
    assert found.top1_agreement == 0.5
    assert found.reference_loss == pytest.approx(np.log(2))
    assert found.loss == pytest.approx(-np.log(0.75), abs=1e-6)
    assert found.bits_per_byte == pytest.approx(-np.log2(0.75) / 2, abs=1e-6)
    with pytest.raises(ProofError, match="the export gives logits that are not finite numbers"):
        compare(reference, Fixed([[0, np.nan, 0], [1, 0, 0]]), HeldOut("by hand", [[0, 1]], 2.0), 2)


def test_a_target_twice_and_names() -> None:
    with pytest.raises(ValueError, match="onnx-int8 is asked for more than once"):
        ExportSection.model_validate({"targets": [{"format": "onnx", "quantize": "int8"}] * 2})
    assert ExportTarget(format="gguf").name == "gguf"
    assert ExportTarget(format="onnx", quantize="int4", prune=0.3).name == "onnx-int4-pruned30"


def test_a_torchscript_file_that_is_none_is_told(transformer: Path, tmp_path: Path) -> None:
    bundle = export(transformer, tmp_path / "out", format="torchscript")
    (bundle.directory / "model.pt").write_bytes(b"no archive")
    with pytest.raises(DataError, match="torch refuses"):
        open_torchscript(bundle.directory, bundle.facts)


def test_a_stop_between_exports_keeps_the_finished_ones(transformer: Path, tmp_path: Path) -> None:
    section = ExportSection.model_validate({"targets": [{"format": "onnx"}]})
    recipe = Recipe.model_validate({"export": section.model_dump()})
    inputs = {"checkpoint": transformer / "final", "shards": transformer / "shards"}
    context = StageContext(recipe, SilentBus(), inputs, tmp_path / "exports", tmp_path)
    context.stop.request("SIGTERM")
    with pytest.raises(Interrupted, match="stopped while exporting"):
        export_stage(context)
    assert not (tmp_path / "exports").exists()
