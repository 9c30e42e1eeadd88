"""What the layers of a pretrained network keep for the backward pass, by counting what each operation saves.

Every term below was read off `torch.autograd.graph.saved_tensors_hooks` on small networks of each type, in fp32 and
under bf16 autocast; the tests hold the sum against such a count again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loquela.finetuning.planning.shape import BaseShape, Linear

Attention = Literal["sdpa", "eager", "flash_attention_2"]
STATISTIC_BYTES = 4  # a norm's root, a softmax's logarithm: fp32 in every precision


@dataclass(frozen=True)
class Adapter:
    """Which matrices learn an update, and of what rank; `targets` None: every linear layer but the head.

    `stock`: PEFT's own layer computes it (quantised or DoRA), and not our kernel for fp32 on a CPU.
    """

    rank: int
    dropout: float
    targets: frozenset[str] | None = None
    stock: bool = False

    def holds(self, linear: Linear) -> bool:
        """Whether this matrix is adapted."""
        return self.targets is None or linear.name in self.targets


@dataclass(frozen=True)
class Conditions:
    """How a micro-batch runs: bytes of an activation, and what the kernels add.

    `masked`: rows of several lengths in one batch, so that attention is told where padding is.
    """

    element_bytes: Literal[2, 4]
    device: Literal["cpu", "cuda"] = "cpu"
    attention: Attention = "sdpa"
    masked: bool = False
    checkpointing: bool = False


def activation_bytes(
    shape: BaseShape, adapter: Adapter | None, conditions: Conditions, rows: int, row_tokens: int
) -> int:
    """Bytes kept for `rows` rows of `row_tokens`; `adapter` None: every weight is trained."""
    tokens = rows * row_tokens
    block = layer_bytes(shape, adapter, conditions, row_tokens)
    stream = conditions.element_bytes * shape.hidden
    outside = stream + STATISTIC_BYTES * shape.hidden
    if conditions.checkpointing:
        return round(tokens * (shape.layers * stream + block + outside))
    return round(tokens * (shape.layers * block + outside))


def layer_bytes(shape: BaseShape, adapter: Adapter | None, conditions: Conditions, row_tokens: int) -> float:
    """Bytes that one layer keeps for each token of rows of `row_tokens`."""
    return (
        _norms(shape, conditions, whole=adapter is None)
        + _attention(shape, conditions, row_tokens)
        + _feed_forward(shape, conditions)
        + (_dropped(shape, conditions, row_tokens) if shape.drops_out else 0)
        + (_trained_inputs(shape, conditions) if adapter is None else _adapted_inputs(shape, adapter, conditions))
    )


def _norms(shape: BaseShape, conditions: Conditions, *, whole: bool) -> float:
    """Two norms' inputs, which an RMSNorm keeps in fp32; where its weight learns, the normalised input too."""
    size = conditions.element_bytes
    if not shape.gated:
        return 2 * (size * shape.hidden + 2 * STATISTIC_BYTES)
    kept = 2 * (STATISTIC_BYTES * shape.hidden + STATISTIC_BYTES)
    learnt = 2 * shape.hidden
    if shape.model_type in ("qwen3", "olmo2"):
        statistics = shape.heads + shape.kv_heads if shape.model_type == "qwen3" else 2
        kept += STATISTIC_BYTES * (shape.query_width + shape.key_width + statistics)
        learnt += shape.query_width + shape.key_width
    return kept + (size * learnt if whole else 0)


def _attention(shape: BaseShape, conditions: Conditions, row_tokens: int) -> float:
    """Queries, keys, values and the merged heads, the softmax's statistics or, with the eager kernel, its weights."""
    size = conditions.element_bytes
    repeated = conditions.attention == "eager" or (conditions.masked and conditions.attention == "sdpa")
    keys = shape.query_width if repeated else shape.key_width
    kept = size * (2.0 * shape.query_width + 2 * keys)
    if conditions.attention == "eager":
        weights = shape.heads * row_tokens
        return kept + size * weights + (STATISTIC_BYTES * weights if size == 2 else 0)
    mask = size * row_tokens if conditions.masked and conditions.attention == "sdpa" else 0
    return kept + STATISTIC_BYTES * shape.heads + mask


def _dropped(shape: BaseShape, conditions: Conditions, row_tokens: int) -> float:
    """Noise of a base that drops out: of both halves of a layer, and on a CPU, whose fused attention cannot, of scores.

    There the scores are made, kept, dropped and kept again; on CUDA the noise is a byte, that of scores is made anew.
    """
    if conditions.device == "cuda":
        return 2.0 * shape.hidden
    scores = 0 if conditions.attention == "eager" else 3 * shape.heads * row_tokens
    return conditions.element_bytes * (2.0 * shape.hidden + scores)


def _feed_forward(shape: BaseShape, conditions: Conditions) -> float:
    """Between its matrices: both branches and the activation's result, or the steps of GPT-2's GELU."""
    if not shape.gated:
        return conditions.element_bytes * 4.0 * shape.inner
    if shape.experts == 1:
        return conditions.element_bytes * 3.0 * shape.inner
    # Rows gathered for an expert, and its answers before they are weighed.
    return conditions.element_bytes * shape.experts_per_token * (3.0 * shape.inner + 2 * shape.hidden)


def _trained_inputs(shape: BaseShape, conditions: Conditions) -> float:
    """Inputs of matrices that learn; the merged heads are counted with the attention."""
    inner = shape.inner * (shape.experts_per_token if shape.experts > 1 else 1)
    return conditions.element_bytes * (2.0 * shape.hidden + inner)


def _adapted_inputs(shape: BaseShape, adapter: Adapter, conditions: Conditions) -> float:
    """Inputs of the updates: shared between matrices as long as nothing is dropped or converted for each of them."""
    size = conditions.element_bytes
    held = [linear for linear in shape.linears() if adapter.holds(linear)]
    ranks = sum(size * adapter.rank * linear.active for linear in held)
    width = sum(linear.inputs * linear.active for linear in held)
    ours = conditions.device == "cpu" and size == 4 and not adapter.stock and shape.gated and shape.experts == 1
    if size == 4 and (ours or not adapter.dropout):
        # Our kernel keeps the input itself, and a byte for each number that may be dropped.
        return ranks + size * sum(_distinct_inputs(shape, held)) + (width if adapter.dropout else 0)
    noise = 0 if not adapter.dropout else 1 if conditions.device == "cuda" else 4
    return ranks + (size + noise) * width


def _distinct_inputs(shape: BaseShape, held: list[Linear]) -> list[float]:
    """Widths of the tensors that the adapted matrices read, each once; the merged heads are kept by attention."""
    attention = ("q_proj", "k_proj", "v_proj", "c_attn")
    first = ("gate_proj", "up_proj", "w1", "w3", "c_fc")
    found: list[float] = []
    if any(linear.name in attention for linear in held):
        found.append(shape.hidden)
    if any(linear.name in first for linear in held):
        found.append(shape.hidden)
    last = [linear for linear in held if linear.inputs == shape.inner and linear.name not in (*attention, *first)]
    return [*found, *(linear.inputs * linear.active for linear in last)]
