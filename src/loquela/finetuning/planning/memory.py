"""Memory of a fine-tuning step by part, from the base's shape and the recipe's section."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loquela.core.model import BoundaryModel
from loquela.finetuning.planning.activations import Adapter, Conditions, activation_bytes
from loquela.finetuning.planning.shape import BaseShape, Linear
from loquela.recipe.finetune_section import FinetuneSection

Device = Literal["cpu", "cuda"]

# bitsandbytes keeps one fp32 scale for 64 weights of 4 bits; doubly quantised: one byte, and an fp32 for 256 of them.
FOUR_BIT_BYTES = 0.5 + 4 / 64
DOUBLE_FOUR_BIT_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
# Bytes of optimizer state for each trained weight; 8-bit kinds keep an fp32 scale for 256 of each moment.
STATE_BYTES = {
    "adamw": 8.0,
    "adamw_8bit": 2 * (1 + 4 / 256),
    "paged_adamw_8bit": 2 * (1 + 4 / 256),
    "paged_adamw_32bit": 8.0,
    "adafactor": 0.1,  # a row and a column of each matrix
    "sgd": 0.0,
}
# Logits are made and turned into their gradient chunk by chunk, in fp32: so many bytes of them at once, twice.
LOGIT_CHUNK_BYTES = {"cpu": 16 * 2**20, "cuda": 128 * 2**20}
LOGIT_COPIES = 2
# What a process holds before its tensors. CPU: libraries measured on Linux x86-64. CUDA: context and kernels.
RUNTIME_BYTES = {"cpu": 680 * 2**20, "cuda": 900 * 2**20}
# Share that allocator and kernels add to what comes and goes within a step.
SCRATCH_SHARE = {"cpu": 0.35, "cuda": 0.15}


@dataclass(frozen=True)
class Load:
    """What a micro-batch is: rows, their longest length, tokens that are learnt, whether attention has a mask."""

    rows: int
    row_tokens: int
    trained_tokens: int
    masked: bool


class TuningMemory(BoundaryModel):
    """Bytes by part. `working` comes and goes within a step, `runtime` is the process without its tensors."""

    weights: int
    adapter: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    working: int
    runtime: int

    @property
    def total(self) -> int:
        """All parts."""
        return sum(int(getattr(self, name)) for name in type(self).model_fields)

    @property
    def largest(self) -> str:
        """The part that a smaller setting should aim at."""
        return max(
            (name for name in type(self).model_fields if name != "runtime"), key=lambda name: int(getattr(self, name))
        )


def adapter_of(section: FinetuneSection) -> Adapter | None:
    """The section's adapter; None where every weight is trained."""
    if section.method == "full":
        return None
    modules = section.lora.target_modules
    targets = None if isinstance(modules, str) else frozenset(modules)
    stock = section.method != "lora" or section.lora.dora
    return Adapter(section.lora.rank, section.lora.dropout, targets, stock)


def trained_parameters(shape: BaseShape, section: FinetuneSection) -> int:
    """Weights that learn: rank × (inputs + outputs) for each adapted matrix, under DoRA outputs once more."""
    adapter = adapter_of(section)
    if adapter is None:
        return shape.parameters()
    held = [linear for linear in shape.linears() if adapter.holds(linear)]
    return shape.layers * sum(_update(linear, adapter.rank, dora=section.lora.dora) for linear in held)


def weight_bytes(shape: BaseShape, section: FinetuneSection, element_bytes: int) -> int:
    """The base as it is held: quantised matrices of the layers, everything else in the arithmetic's format.

    Trained whole, the weights are fp32 in every precision.
    """
    if section.method == "full":
        return 4 * shape.parameters()
    matrices = shape.matrix_parameters() - (shape.layers * shape.hidden * shape.experts if shape.experts > 1 else 0)
    rest = shape.parameters() - matrices
    if section.method == "qlora":
        each = DOUBLE_FOUR_BIT_BYTES if section.quantization.double else FOUR_BIT_BYTES
        return round(matrices * each) + element_bytes * rest
    if section.method == "int8_lora":
        scales = 4 * shape.layers * sum(linear.outputs * linear.copies for linear in shape.linears())
        return matrices + scales + element_bytes * rest
    return element_bytes * shape.parameters()


def tuning_memory(
    shape: BaseShape,
    section: FinetuneSection,
    load: Load,
    *,
    device: Device,
    element_bytes: Literal[2, 4],
    checkpointing: bool,
) -> TuningMemory:
    """Bytes of a process's step on `device`; every process holds all weights, gradients and state."""
    trained = trained_parameters(shape, section)
    conditions = Conditions(
        element_bytes=element_bytes,
        device=device,
        # Sequence by sequence needs neither a mask nor the scores, as flash attention.
        attention=section.attention if section.attention in ("sdpa", "eager") else "flash_attention_2",
        masked=load.masked,
        checkpointing=checkpointing,
    )
    activations = activation_bytes(shape, adapter_of(section), conditions, load.rows, load.row_tokens)
    if shape.experts > 1 and section.method != "full":
        # PEFT multiplies out the update of all experts of a layer and keeps it for the backward pass.
        experts = sum(each.inputs * each.outputs * each.copies for each in shape.linears() if each.copies > 1)
        activations += 4 * experts * (1 if checkpointing else shape.layers)
    chunk = min(4 * load.trained_tokens * shape.vocab, max(LOGIT_CHUNK_BYTES[device], 32 * 4 * shape.vocab))
    # The states that the head sees, their gradient, and what the chunks sum it up in.
    logits = LOGIT_COPIES * chunk + (2 * element_bytes + 4) * load.trained_tokens * shape.hidden
    passing = load.rows * load.row_tokens * element_bytes * (3 * shape.inner + 4 * shape.hidden)
    dequantised = 0
    if section.method in ("qlora", "int8_lora"):
        dequantised = element_bytes * max(linear.inputs * linear.outputs for linear in shape.linears())
    scratch = round(SCRATCH_SHARE[device] * (activations + logits + passing))
    return TuningMemory(
        weights=weight_bytes(shape, section, element_bytes),
        adapter=0 if section.method == "full" else 4 * trained,
        gradients=4 * trained,
        optimizer=round(STATE_BYTES[section.optimizer] * trained),
        activations=activations,
        logits=logits,
        working=passing + dequantised + scratch,
        runtime=RUNTIME_BYTES[device],
    )


def _update(linear: Linear, rank: int, *, dora: bool) -> int:
    sizes = rank * (linear.inputs + linear.outputs) + (linear.outputs if dora else 0)
    return sizes * linear.copies
