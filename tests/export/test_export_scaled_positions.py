"""Llama 3's scaled rotary positions, SmolLM 3's layers without any: computed as by transformers, by every runtime."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers

from loquela.core.errors import DataError, ErrorCode, RecipeError
from loquela.export.exporting import Export
from loquela.export.formats.gguf.architectures import architecture_of
from loquela.export.report import read_report
from loquela.export.source import find_model
from loquela.models.config import RotaryScaling, TransformerConfig
from loquela.models.folder import load_model, read_config, save_model
from loquela.monitoring.events import SilentBus
from loquela.recipe.export_section import ExportSection, ExportTarget
from toy_run import make_tokenizer

ROPE = {
    "rope_type": "llama3", "rope_theta": 10_000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}  # fmt: skip
CONTEXT = 128


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("scaled") / "base", "Llama", rope_parameters=ROPE)


@pytest.fixture(scope="module")
def unrotated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("unrotated") / "base", "SmolLM3", num_hidden_layers=5)


def made(place: Path, family: str, **settings: object) -> Path:
    """A tiny model that transformers wrote, with weights that make positions matter."""
    tokenizer = make_tokenizer(place)
    torch.manual_seed(3)
    shape: dict[str, object] = dict(
        vocab_size=tokenizer.vocab_size, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=CONTEXT,
        bos_token_id=2, eos_token_id=3, pad_token_id=0, initializer_range=0.25,
    )  # fmt: skip
    config = getattr(transformers, f"{family}Config")(**shape | settings)
    getattr(transformers, f"{family}ForCausalLM")(config).save_pretrained(place)
    return place


def theirs(place: Path, tokens: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return transformers.AutoModelForCausalLM.from_pretrained(place).eval()(tokens).logits


def test_divisors_by_hand() -> None:
    scaling = RotaryScaling(factor=8, low_frequency_factor=1, high_frequency_factor=4, original_context=64)
    # Turns over 64 tokens: 10.19, 1.019, 0.1019, 0.0102.
    found = scaling.divisors(8, 10_000.0)
    quick = (64 / (2 * torch.pi * 10) - 1) / 3
    assert found == pytest.approx([1.0, 1 / ((1 - quick) / 8 + quick), 8.0, 8.0])
    with pytest.raises(ValueError, match="low_freq_factor must be below high_freq_factor"):
        RotaryScaling(factor=8, low_frequency_factor=4, high_frequency_factor=4, original_context=64)


def test_the_network_is_computed_as_transformers_computes_it(folder: Path, tmp_path: Path) -> None:
    tokens = torch.randint(4, 300, (1, CONTEXT), generator=torch.Generator().manual_seed(1))
    model = load_model(folder)
    with torch.inference_mode():
        ours = model(tokens)
        plain = load_model(edited(folder, tmp_path / "plain", {"rope_type": "default", "rope_theta": 10_000.0}))(tokens)
    torch.testing.assert_close(ours, theirs(folder, tokens), atol=2e-4, rtol=0)
    assert (ours - plain).abs().max() > 0.1, "the scaling decides something"


def test_layers_that_do_not_rotate(unrotated: Path, tmp_path: Path) -> None:
    tokens = torch.randint(4, 300, (1, CONTEXT), generator=torch.Generator().manual_seed(1))
    model = load_model(unrotated)
    assert [model.config.rotated(layer) for layer in range(5)] == [True, True, True, False, True]
    rope = json.loads((unrotated / "config.json").read_text())["rope_parameters"]
    other = edited(unrotated, tmp_path / "other", rope, no_rope_layer_interval=5, no_rope_layers=None)
    with torch.inference_mode():
        ours, rotated = model(tokens), load_model(other)(tokens)
    torch.testing.assert_close(ours, theirs(unrotated, tokens), atol=2e-4, rtol=0)
    assert (ours - rotated).abs().max() > 0.1, "the pattern decides something"
    save_model(model, tmp_path / "again")
    torch.testing.assert_close(theirs(tmp_path / "again", tokens), ours, atol=2e-4, rtol=0)
    odd = edited(unrotated, tmp_path / "odd", rope, no_rope_layers=[1, 0, 0, 1, 1])
    with pytest.raises(DataError, match="no_rope_layers is no regular pattern"):
        read_config(odd)


def test_folders_of_older_versions_say_the_same(folder: Path, tmp_path: Path) -> None:
    old = {key: value for key, value in ROPE.items() if key != "rope_theta"}
    copy = edited(folder, tmp_path / "old", None, rope_theta=10_000.0, rope_scaling=old)
    assert read_config(copy) == read_config(folder)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rope_type": "llama3", "rope_theta": 10_000.0, "factor": 8.0}, "rope_type llama3 needs factor, low_freq_fac"),
        ({"type": "linear", "factor": 4.0}, "rope_parameters.type: .*'linear'"),
        ({"rope_type": "dynamic", "factor": 4.0}, "rope_parameters.rope_type: .*'dynamic'"),
    ],
)
def test_other_scalings_are_refused(folder: Path, tmp_path: Path, settings: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_config(edited(folder, tmp_path / "other", settings))


@pytest.mark.parametrize("kind", ["folder", "unrotated"])
@pytest.mark.parametrize("form", ["safetensors", "onnx", "torchscript", "gguf"])
def test_each_runtime_computes_it(request: pytest.FixtureRequest, tmp_path: Path, kind: str, form: str) -> None:
    folder: Path = request.getfixturevalue(kind)
    pytest.importorskip("gguf", reason="the extra export is not installed")
    section = ExportSection(held_out_tokens=16 * CONTEXT)
    target = ExportTarget.model_validate({"format": form})
    bundle = Export(find_model(folder), target, tmp_path / "out", section, None, SilentBus()).run()
    report = read_report(bundle.directory)
    assert report.logits.max_logit_difference < 1e-3
    assert report.logits.tokens == 16 * CONTEXT, "windows as long as the context, far beyond the 32 tokens"
    if form == "safetensors":
        tokens = torch.randint(4, 300, (1, CONTEXT), generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(
            theirs(bundle.directory / "model", tokens), theirs(folder, tokens), atol=1e-5, rtol=0
        )


def test_what_llama_cpp_does_not_scale_is_refused_before() -> None:
    scaling = RotaryScaling(factor=8, low_frequency_factor=1, high_frequency_factor=4, original_context=64)
    shape = TransformerConfig(
        vocab_size=100, num_layers=1, d_model=32, num_heads=2, num_kv_heads=2, head_dim=16, dim_feedforward=32,
        max_sequence_length=64, positions="rotary", norm="rmsnorm", activation="swiglu", bias=False, qk_norm=True,
        rotary_scaling=scaling,
    )  # fmt: skip
    with pytest.raises(RecipeError, match="in its llama alone, not in qwen3") as caught:
        architecture_of(shape)
    assert caught.value.code == ErrorCode.UNSUPPORTED_FORMAT
    plain = shape.model_copy(update={"qk_norm": False, "rotary_scaling": None})
    with pytest.raises(RecipeError, match="leaves each 4th layer of Llama's shape unrotated, no other"):
        architecture_of(plain.model_copy(update={"unrotated_every": 3}))
    with pytest.raises(RecipeError, match=r"with unrotated layers \(smollm3\) has no biases"):
        architecture_of(plain.model_copy(update={"unrotated_every": 4, "bias": True}))


def edited(folder: Path, target: Path, rope: dict | None, **settings: object) -> Path:
    """A copy with other `rope_parameters` (None: without) and settings."""
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).symlink_to(path)
    config = json.loads((folder / "config.json").read_text()) | settings
    config.pop("rope_parameters") if rope is None else config.update(rope_parameters=rope)
    (target / "config.json").unlink()
    (target / "config.json").write_text(json.dumps(config))
    return target
