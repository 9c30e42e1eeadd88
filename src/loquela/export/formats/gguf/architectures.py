"""Networks → llama.cpp's architectures: a network is computed exactly by one of them, or refused with the reason.

    positions   norm        activation   qk_norm   llama.cpp
    learned     layernorm   gelu         no        gpt2
    rotary      rmsnorm     swiglu       no        llama, with Llama 3's scaled positions or plain ones
    the same, each 4th layer unrotated             smollm3 (no biases)
    rotary      rmsnorm     swiglu       yes       qwen3 (no biases)
    rotary      rmsnorm     relu2        no        arcee (no biases)

Each row is proved against llama.cpp itself by tests/export/test_gguf_llama_cpp.py, and so is each refusal below it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loquela.core.errors import RecipeError
from loquela.export.contract import ModelConfig, unsupported
from loquela.models.config import TransformerConfig

ArchitectureName = Literal["gpt2", "llama", "smollm3", "qwen3", "arcee"]

REMEDY = (
    "set model.positions, model.norm and model.activation to learned, layernorm, gelu (GPT-2) or rotary, rmsnorm, "
    "swiglu (Llama), or choose another export.format"
)


@dataclass(frozen=True)
class Architecture:
    """One architecture of llama.cpp.

    `interleaved`: it turns neighbouring numbers of a head (2i, 2i+1), where our networks turn (i, i + head_dim/2).
    """

    name: ArchitectureName
    interleaved: bool
    takes_biases: bool


GPT2 = Architecture("gpt2", interleaved=False, takes_biases=True)
LLAMA = Architecture("llama", interleaved=True, takes_biases=True)
SMOLLM3 = Architecture("smollm3", interleaved=True, takes_biases=False)
QWEN3 = Architecture("qwen3", interleaved=False, takes_biases=False)
ARCEE = Architecture("arcee", interleaved=True, takes_biases=False)

SMOLLM3_STEP = 4
"""llama.cpp has no key for it."""

_SHAPES = {
    ("learned", "layernorm", "gelu", False): GPT2,
    ("rotary", "rmsnorm", "swiglu", False): LLAMA,
    ("rotary", "rmsnorm", "swiglu", True): QWEN3,
    ("rotary", "rmsnorm", "relu2", False): ARCEE,
}


def transformer_of(config: ModelConfig) -> TransformerConfig:
    """`config` as a transformer's; RecipeError(UNSUPPORTED_FORMAT) for a recurrent network."""
    if isinstance(config, TransformerConfig):
        return config
    raise unsupported(
        f"an {config.family.upper()} to gguf" if config.family == "lstm" else "a GRU to gguf",
        "llama.cpp computes no LSTM and no GRU",
        "set export.format to onnx, torchscript or safetensors, or train model.family transformer",
    )


def architecture_of(config: TransformerConfig) -> Architecture:
    """The architecture that computes `config` exactly; RecipeError(UNSUPPORTED_FORMAT) when there is none."""
    found = _SHAPES.get((config.positions, config.norm, config.activation, config.qk_norm))
    if config.unrotated_every is not None:
        if found is not LLAMA or config.unrotated_every != SMOLLM3_STEP:
            raise _refused(
                f"llama.cpp's smollm3 leaves each {SMOLLM3_STEP}th layer of Llama's shape unrotated, no other"
            )
        found = SMOLLM3
    if found is None:
        mixture = f"positions {config.positions}, norm {config.norm}, activation {config.activation}"
        raise _refused(f"llama.cpp has no architecture with {mixture}{' and qk_norm' if config.qk_norm else ''}")
    if config.rotary_scaling is not None and found is not LLAMA:
        raise _refused(f"llama.cpp scales rotary positions as Llama 3 does in its llama alone, not in {found.name}")
    if config.bias and not found.takes_biases:
        what = "qk_norm" if config.qk_norm else "unrotated layers" if found is SMOLLM3 else "activation relu2"
        raise unsupported(
            "this network to gguf",
            f"llama.cpp's architecture with {what} ({found.name}) has no biases",
            "set model.bias to false, or choose another export.format",
        )
    if found is GPT2 and config.num_heads * config.head_dim != config.d_model:
        raise _refused("llama.cpp's gpt2 has heads that together are as wide as the model")
    return found


def _refused(why: str) -> RecipeError:
    return unsupported("this network to gguf", why, REMEDY)
