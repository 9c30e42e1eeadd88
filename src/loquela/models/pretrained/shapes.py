"""The pretrained networks that are supported, each with a tiny instance in the tests."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from loquela.core.errors import ErrorCode
from loquela.core.near_names import unknown_name
from loquela.models.pretrained.failures import unusable

# model_type of config.json → class in transformers.
ARCHITECTURES = {
    "gpt2": "GPT2LMHeadModel",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "mixtral": "MixtralForCausalLM",
    "olmo": "OlmoForCausalLM",
    "olmo2": "Olmo2ForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "smollm3": "SmolLM3ForCausalLM",
}
EMBEDDINGS = ("model.embed_tokens.weight", "transformer.wte.weight", "wte.weight")
HEAD = "lm_head.weight"
# Tables that old folders carry along: they follow from the configuration.
NOT_LEARNT = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")
TIED_UNLESS_SAID = ("gpt2", "smollm3")
CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "n_ctx")


def architecture_of(place: Path | str, config: dict[str, JsonValue]) -> tuple[str, str]:
    """`model_type` and class of a config.json; DataError(UNSUPPORTED_FORMAT) for one that is not supported."""
    model_type = str(config.get("model_type"))
    if model_type not in ARCHITECTURES:
        raise unusable(
            place,
            unknown_name("model_type", model_type, ARCHITECTURES),
            "choose a base of one of the known types",
            ErrorCode.UNSUPPORTED_FORMAT,
        )
    expected = ARCHITECTURES[model_type]
    named = config.get("architectures")
    if isinstance(named, list) and named and expected not in named and not _headless(model_type, named):
        raise unusable(
            place,
            f"it is a {named[0]}, and only the {expected} of {model_type} writes text",
            "choose the causal language model of that family",
            ErrorCode.UNSUPPORTED_FORMAT,
        )
    return model_type, expected


def is_tied(model_type: str, config: dict[str, JsonValue]) -> bool:
    """Whether the output matrix is the embedding."""
    said = config.get("tie_word_embeddings")
    return said if isinstance(said, bool) else model_type in TIED_UNLESS_SAID


def context_of(place: Path | str, config: dict[str, JsonValue]) -> int:
    """The longest sequence, in tokens."""
    for key in CONTEXT_KEYS:
        value = config.get(key)
        if isinstance(value, int) and value > 0:
            return value
    raise unusable(place, f"config.json does not say how long a sequence may be ({', '.join(CONTEXT_KEYS)})")


def _headless(model_type: str, named: list[JsonValue]) -> bool:
    """GPT-2's oldest folders name the body, whose head is its embedding."""
    return model_type == "gpt2" and named == ["GPT2Model"]
