"""The size dial: `model.size` fills in what a recipe leaves out, and says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from loquela.recipe.schema import ModelSize


@dataclass(frozen=True)
class SizePreset:
    """`rows_per_step` is batch size × accumulation; `source` is where shape and learning rate come from."""

    num_layers: int
    d_model: int
    num_heads: int
    dim_feedforward: int
    max_sequence_length: int
    vocab_size: int
    batch_size: int
    rows_per_step: int
    learning_rate: float
    source: str


# Learning rates of small and medium follow 0.003239 - 0.0001395·ln(parameters without embeddings)
# (Kaplan et al. 2020, appendix D.6), rounded; tiny is the reference two-layer model; gpt2 is GPT-2 and GPT-3 small.
PRESETS: dict[ModelSize, SizePreset] = {
    ModelSize.TINY: SizePreset(2, 128, 4, 256, 128, 8000, 32, 32, 3e-4, "the reference two-layer model"),
    ModelSize.SMALL: SizePreset(6, 384, 6, 1536, 256, 16000, 32, 32, 1e-3, "about 11 M parameters and embeddings"),
    ModelSize.MEDIUM: SizePreset(8, 512, 8, 2048, 512, 32000, 16, 64, 8e-4, "about 25 M parameters and embeddings"),
    ModelSize.GPT2: SizePreset(12, 768, 12, 3072, 1024, 50257, 8, 512, 6e-4, "GPT-2 small: 124 M parameters"),
}


@dataclass(frozen=True)
class Derived:
    """A derived value and the reason that start-up prints."""

    value: JsonValue
    reason: str


def derive(given: Mapping[str, JsonValue]) -> dict[str, Derived]:
    """The values of every dotted key that `model.size` sets and `given` leaves out.

    Explicit values always win, and those that depend on an explicit one follow it: the feed-forward width keeps its
    ratio to d_model, the heads their width, the accumulation the rows per step. An unknown size derives nothing;
    validation reports it.
    """
    name = given.get("model.size", ModelSize.TINY.value)
    if name not in [size.value for size in ModelSize]:
        return {}
    size = ModelSize(str(name))
    preset = PRESETS[size]
    because = f"model.size {size.value}: {preset.source}"
    found = {
        "tokenizer.vocab_size": Derived(preset.vocab_size, because),
        "model.num_layers": Derived(preset.num_layers, because),
        "model.d_model": Derived(preset.d_model, because),
        "model.num_heads": _heads(given.get("model.d_model"), preset, because),
        "model.dim_feedforward": _feedforward(given.get("model.d_model"), preset, because),
        "model.max_sequence_length": Derived(preset.max_sequence_length, because),
        "train.batch_size": Derived(preset.batch_size, because),
        "train.gradient_accumulation_steps": _accumulation(given.get("train.batch_size"), preset, because),
        "train.learning_rate": Derived(preset.learning_rate, because),
    }
    if given.get("tokenizer.model_file") is not None:
        del found["tokenizer.vocab_size"]
    return {key: derived for key, derived in found.items() if key not in given}


def _positive(value: JsonValue) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _heads(d_model: JsonValue, preset: SizePreset, because: str) -> Derived:
    width = _positive(d_model)
    if width is None or width > 1_000_000:
        return Derived(preset.num_heads, because)
    head_width = preset.d_model // preset.num_heads
    divisors = [heads for heads in range(1, min(width, 256) + 1) if width % heads == 0]
    heads = min(divisors, key=lambda count: abs(width / count - head_width))
    return Derived(heads, f"model.d_model {width}: the divisor nearest to heads of width {head_width}")


def _feedforward(d_model: JsonValue, preset: SizePreset, because: str) -> Derived:
    width = _positive(d_model)
    if width is None:
        return Derived(preset.dim_feedforward, because)
    ratio = preset.dim_feedforward // preset.d_model
    return Derived(ratio * width, f"{ratio} × model.d_model {width}, the ratio of model.size {_name(preset)}")


def _accumulation(batch_size: JsonValue, preset: SizePreset, because: str) -> Derived:
    rows = _positive(batch_size)
    if rows is None:
        return Derived(preset.rows_per_step // preset.batch_size, because)
    steps = max(1, round(preset.rows_per_step / rows))
    return Derived(steps, f"train.batch_size {rows}: nearest to {preset.rows_per_step} rows per optimizer step")


def _name(preset: SizePreset) -> str:
    return next(size.value for size, known in PRESETS.items() if known is preset)
