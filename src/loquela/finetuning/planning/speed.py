"""How long a fine-tuning takes: operations of a step, by what this machine or a GPU type makes of them."""

from __future__ import annotations

from dataclasses import dataclass

from loquela.finetuning.planning.gpus import Gpu
from loquela.finetuning.planning.memory import adapter_of, trained_parameters
from loquela.finetuning.planning.shape import BaseShape
from loquela.recipe.finetune_section import FinetuneSection

# Share of the CPU's probed matrix speed, and of a GPU's published dense bf16 peak, that training reaches.
CPU_EFFICIENCY = 0.55
GPU_UTILISATION = 0.35
# QLoRA beside LoRA where memory is no limit: a base of 7B on one GPU, 34:06 against 23:36 minutes (H2O LLM Studio).
SLOWER_BY = {"lora": 1.0, "full": 1.0, "qlora": 1.44, "int8_lora": 1.6}
# A GPU waits for the host to launch the kernels of a layer, forward and backward, however small they are.
GPU_LAYER_SECONDS = 0.6e-3
CPU_STEP_SECONDS = 0.02
# Before a rented GPU computes: starting it and installing the packages; then the base comes at this rate.
SETUP_SECONDS = 420.0
DOWNLOAD_BYTES_PER_SECOND = 100e6


@dataclass(frozen=True)
class Epoch:
    """What passes through the network in an epoch: tokens with padding, those learnt, mean row, batches, steps."""

    padded_tokens: float
    trained_tokens: float
    row_tokens: float
    micro_batches: int
    steps: int


def epoch_flops(shape: BaseShape, section: FinetuneSection, epoch: Epoch, *, checkpointing: bool) -> float:
    """Operations of an epoch.

    Forward once, and a gradient of the activations as costly again; a gradient of the weights, as costly once more,
    only for those that learn (all of them, or the updates); a checkpointed layer is computed once more. The head sees
    the tokens that are learnt.
    """
    adapter = adapter_of(section)
    body = shape.forward_flops(epoch.row_tokens)
    learnt = body if adapter is None else 6.0 * trained_parameters(shape, section)
    again = body if checkpointing else 0.0
    forward = body * forwards(section)
    head = shape.head_flops() * (3 if adapter is None else 2)
    return epoch.padded_tokens * (body + learnt + again + forward) + epoch.trained_tokens * head


def forwards(section: FinetuneSection) -> int:
    """How often a row is read: once; by the base too, where answers are compared with it.

    Under the loss kto both also read it with an answer that does not belong to it.
    """
    if section.task == "sft":
        return 1
    return 4 if section.preference_loss == "kto" else 2


def cpu_seconds(flops: float, epoch: Epoch, section: FinetuneSection, flops_per_second: float) -> float:
    """Seconds of an epoch on this machine's processor, whose matrix speed was probed."""
    return SLOWER_BY[section.method] * flops / (CPU_EFFICIENCY * flops_per_second) + CPU_STEP_SECONDS * epoch.steps


def gpu_seconds(flops: float, epoch: Epoch, section: FinetuneSection, shape: BaseShape, gpu: Gpu) -> float | None:
    """Seconds of an epoch on one GPU; None where its peak is not known."""
    if gpu.peak is None:
        return None
    computing = SLOWER_BY[section.method] * flops / (GPU_UTILISATION * gpu.peak)
    return max(computing, GPU_LAYER_SECONDS * shape.layers * epoch.micro_batches)


def setup_seconds(shape: BaseShape) -> float:
    """Seconds that are paid for before training begins: start, packages, 2 bytes of download for each parameter."""
    return SETUP_SECONDS + 2 * shape.parameters() / DOWNLOAD_BYTES_PER_SECOND
