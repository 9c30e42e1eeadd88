"""A base → a network of transformers: number format, quantisation, attention, device; every weight accounted for."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Literal, Protocol

import torch
from torch import nn

from loquela.artifacts.base import Base
from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.extras import require
from loquela.models.pretrained.causal import CausalModel, ModelFacts
from loquela.models.pretrained.failures import unusable
from loquela.models.pretrained.shapes import NOT_LEARNT

DtypeName = Literal["fp32", "bf16", "fp16"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PURPOSE = "loading a pretrained model"
EXTRA = "finetune"
PACKS_ANEW = "support_avx512bf16_for_cpu"


@dataclass(frozen=True)
class QuantizationPlan:
    """How the linear layers of a frozen base are stored; `compute` is the arithmetic of the 4-bit kinds."""

    kind: Literal["nf4", "fp4", "int8"]
    compute: DtypeName = "fp32"
    double: bool = True


class StockConfig(Protocol):
    """What we read from a configuration of transformers."""

    hidden_size: int
    num_hidden_layers: int
    _attn_implementation: str


def load_base_model(
    base: Base,
    *,
    dtype: DtypeName = "fp32",
    quantization: QuantizationPlan | None = None,
    device: str = "cpu",
    attention: str = "sdpa",
) -> CausalModel:
    """The network of `base` in eval mode, every weight of its folder in its place and none made up.

    `attention` is sdpa, eager or flash_attention_2. Raises ResourceError(MISSING_EXTRA) without transformers (or
    bitsandbytes under `quantization`), DataError(PRETRAINED_LOAD_FAILED) for weights that do not fit,
    RecipeError(CONFIG_INVALID) for an attention that this machine does not have.
    """
    transformers = require("transformers", extra=EXTRA, purpose=PURPOSE)
    settings: dict[str, object] = {"dtype": DTYPES[dtype], "attn_implementation": attention}
    settings["device_map"] = {"": device}
    # It would warn of a faster kernel on a hub, and of every 8-bit product that its inputs are cast.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    if quantization is not None:
        require("bitsandbytes", extra=EXTRA, purpose=f"a base quantised to {quantization.kind}")
        settings["quantization_config"] = _stock_plan(transformers, quantization)
    with quiet(transformers):
        network, config = _read(transformers, base, settings, attention)
    _keep_layout(network)
    return CausalModel(network, network, base, _facts(base, config, dtype, quantization, device))


def _keep_layout(network: nn.Module) -> None:
    """Keep 4-bit matrices as they are stored.

    On a CPU with AVX-512 BF16 bitsandbytes packs them anew outside training, for a bf16 product of its own: then what
    is evaluated is not what was trained, and matrices narrower than a block cannot be used at all.
    """
    for module in network.modules():
        if hasattr(module, PACKS_ANEW):
            setattr(module, PACKS_ANEW, False)


@contextmanager
def quiet(transformers: ModuleType) -> Iterator[None]:
    """The library's log and progress bars held back: what matters is checked and raised by us."""
    verbosity: int = transformers.logging.get_verbosity()
    bars: bool = transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(verbosity)
        if bars:
            transformers.logging.enable_progress_bar()


def _read(
    transformers: ModuleType, base: Base, settings: Mapping[str, object], attention: str
) -> tuple[nn.Module, StockConfig]:
    """The library's own loading, by the class that the base's identity names; no code, no network, no pickle."""
    loader = getattr(transformers, base.identity.architecture)
    try:
        network, info = loader.from_pretrained(
            str(base.folder),
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            **settings,
        )
    except ImportError as error:
        raise _no_attention(attention, str(error)) from error
    except (ValueError, OSError, RuntimeError, KeyError, TypeError) as error:
        raise unusable(base.folder, f"transformers cannot load it: {error}") from error
    _check_complete(base, info)
    config: StockConfig = network.config
    model: nn.Module = network
    return model.eval(), config


def _check_complete(base: Base, info: Mapping[str, object]) -> None:
    for key, what in (
        ("mismatched_keys", "have another shape than its config.json says"),
        ("missing_keys", "are missing, and would have been made up"),
        ("unexpected_keys", "have no place in its network"),
    ):
        names = sorted(_name(entry) for entry in _entries(info.get(key)))
        odd = [name for name in names if not name.endswith(NOT_LEARNT)]
        if odd:
            more = f" and {len(odd) - 3} more" if len(odd) > 3 else ""
            raise unusable(base.folder, f"these weights {what}: {', '.join(odd[:3])}{more}")


def _entries(value: object) -> list[object]:
    return list(value) if isinstance(value, (set, list, tuple)) else []


def _name(entry: object) -> str:
    return str(entry[0]) if isinstance(entry, tuple) else str(entry)


def _stock_plan(transformers: ModuleType, plan: QuantizationPlan) -> object:
    if plan.kind == "int8":
        return transformers.BitsAndBytesConfig(load_in_8bit=True)
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=plan.kind,
        bnb_4bit_use_double_quant=plan.double,
        bnb_4bit_compute_dtype=DTYPES[plan.compute],
    )


def _facts(base: Base, config: StockConfig, dtype: DtypeName, plan: QuantizationPlan | None, device: str) -> ModelFacts:
    return ModelFacts(
        dtype=dtype,
        compute_dtype=plan.compute if plan is not None and plan.kind != "int8" else dtype,
        quantization=None if plan is None else plan.kind,
        attention=config._attn_implementation,
        device=device,
        vocab_size=base.identity.vocab_size,
        context=base.identity.context,
        hidden_size=config.hidden_size,
        layers=config.num_hidden_layers,
    )


def _no_attention(attention: str, why: str) -> RecipeError:
    return RecipeError(
        ErrorCode.CONFIG_INVALID,
        f"attention: {attention} is not possible here: {why.splitlines()[0]}",
        "write attention: sdpa, or install what is missing",
    )
