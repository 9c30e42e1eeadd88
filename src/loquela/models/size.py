"""How big a network is and what a training step of it costs, from its configuration alone. Loads no tensor library.

Every number here is exact by counting or states what it leaves out; a test holds the counts against real modules.
"""

from __future__ import annotations

from typing import Literal

from loquela.core.model import BoundaryModel
from loquela.models.config import RecurrentConfig, TransformerConfig

Config = TransformerConfig | RecurrentConfig

GATES = {"lstm": 4, "gru": 3}
# Widths that a layer keeps per token for its backward pass, measured on the CPU (an LSTM has a oneDNN workspace).
RECURRENT_ACTIVATIONS = {"lstm": 16, "gru": 8}
# State tensors per parameter, each as large as the parameter. Muon keeps one for matrices and two for the rest,
# embeddings included; counting two throughout is the safe side.
OPTIMIZER_STATES = {"adam": 2, "adamw": 2, "sgd": 1, "muon": 2}
# Chunk of the head's logits in bytes (see head_loss.CHUNK_ELEMENTS_CPU), and what is alive beside it.
HEAD_CHUNK_BYTES = 16 * 1024 * 1024
# A training process before and beside its tensors, measured on Linux x86-64 with PyTorch for the CPU: libraries 250
# MiB, opened tokenizer, shards and matrix kernels 80 MiB, what the first checkpoint loads 30 MiB.
RUNTIME_BYTES = 360 * 1024 * 1024
# What oneDNN's packed copies, gradients under way and the allocator's gaps add to activations and head, measured as
# the growth of the peak from 32 to 64 rows (1.3 times the parts) and from 2 to 4 layers (1.5 times).
SCRATCH_SHARE = 0.35


def embedding_parameters(config: Config) -> int:
    """Parameters of the input embedding, positions included, and of a head of its own."""
    count = config.vocab_size * config.d_model * (1 if config.tie_embeddings else 2)
    if isinstance(config, TransformerConfig) and config.positions == "learned":
        count += config.max_sequence_length * config.d_model
    return count


def matrix_parameters(config: Config) -> int:
    """Weights of the layers' matrices: those that multiply every token, head and embeddings left out."""
    width = config.d_model
    if isinstance(config, RecurrentConfig):
        return config.num_layers * GATES[config.family] * width * 2 * width
    attention = width * (2 * config.num_heads + 2 * config.num_kv_heads) * config.head_dim
    return config.num_layers * (attention + _feed_forward_matrices(config) * width * config.dim_feedforward)


def parameter_count(config: Config) -> int:
    """Number of parameters, a tied matrix counted once."""
    vectors = _recurrent_vectors(config) if isinstance(config, RecurrentConfig) else _transformer_vectors(config)
    return embedding_parameters(config) + matrix_parameters(config) + vectors


def flops_per_token(config: Config) -> int:
    """Floating-point operations of training on one token, forward and backward, at the full context.

    6 × (matrix weights + head): a multiply and an add forward, and twice that backward (Kaplan et al. 2020,
    section 2.1; the embedding look-up costs none, the head is counted once whether tied or not). Attention adds
    12 × layers × heads × head_dim × context for queries·keys and weights·values, without the saving of the causal
    mask, as nanoGPT and PaLM (Chowdhery et al. 2022, appendix B) count it. Norms, activations and the optimizer
    are left out. The reference model (2 × 128, vocabulary 8000, context 128) makes 8 110 080.
    """
    products = 6 * (matrix_parameters(config) + config.vocab_size * config.d_model)
    if isinstance(config, RecurrentConfig):
        return products
    return products + 12 * config.num_layers * config.num_heads * config.head_dim * config.max_sequence_length


class MemoryPlan(BoundaryModel):
    """Bytes that a training step needs, by part.

    `staging_bytes` are the copies that a checkpoint is written from, `scratch_bytes` what kernels and allocator hold
    beside the tensors, `runtime_bytes` the interpreter with its libraries.
    """

    weights_bytes: int
    gradients_bytes: int
    optimizer_bytes: int
    activations_bytes: int
    head_bytes: int
    data_bytes: int
    staging_bytes: int
    scratch_bytes: int
    runtime_bytes: int
    total_bytes: int


def memory_plan(
    config: Config,
    *,
    batch_size: int,
    context: int | None = None,
    precision: Literal["fp32", "bf16", "fp16"] = "fp32",
    optimizer: Literal["adam", "adamw", "sgd", "muon"] = "adamw",
    gradient_checkpointing: bool = False,
) -> MemoryPlan:
    """What a step over `batch_size` rows of `context` tokens (default: the model's) of one process will hold.

    Weights, gradients and optimizer state are float32 in every precision; activations follow the precision.
    """
    tokens = batch_size * (context or config.max_sequence_length)
    parameters = 4 * parameter_count(config)
    head_gradient = 4 * config.vocab_size * config.d_model
    activations = _activation_bytes(config, tokens, 4 if precision == "fp32" else 2, gradient_checkpointing)
    head = HEAD_CHUNK_BYTES + 2 * head_gradient + 2 * 4 * tokens * config.d_model
    parts = {
        "weights_bytes": parameters,
        "gradients_bytes": parameters,
        "optimizer_bytes": OPTIMIZER_STATES[optimizer] * parameters,
        "activations_bytes": activations,
        "head_bytes": head,
        "data_bytes": 2 * 2 * 8 * tokens,
        "staging_bytes": (1 + OPTIMIZER_STATES[optimizer]) * parameters,
        "scratch_bytes": round(SCRATCH_SHARE * (activations + head)),
        "runtime_bytes": RUNTIME_BYTES,
    }
    return MemoryPlan(**parts, total_bytes=sum(parts.values()))


def _feed_forward_matrices(config: TransformerConfig) -> int:
    return 3 if config.activation == "swiglu" else 2


def _transformer_vectors(config: TransformerConfig) -> int:
    """Norm weights and all biases."""
    width, inner = config.d_model, config.dim_feedforward
    norm = width * (2 if config.norm == "layernorm" and config.bias else 1)
    per_layer = 2 * norm + (2 * config.head_dim if config.qk_norm else 0)
    if config.bias:
        per_layer += (config.num_heads + 2 * config.num_kv_heads) * config.head_dim + width
        per_layer += inner * (_feed_forward_matrices(config) - 1) + width
    return config.num_layers * per_layer + norm


def _recurrent_vectors(config: RecurrentConfig) -> int:
    """PyTorch's recurrent layers carry an input bias and a state bias for every gate."""
    return config.num_layers * 2 * GATES[config.family] * config.d_model if config.bias else 0


def _activation_bytes(config: Config, tokens: int, element_bytes: int, gradient_checkpointing: bool) -> int:
    """What the layers keep for the backward pass.

    A transformer block keeps its input, both norms' outputs, the stream between its halves, the merged heads (5 D),
    queries, keys and values, and the inner activations; an RMSNorm also keeps its input scaled.
    """
    if isinstance(config, RecurrentConfig):
        kept = config.num_layers * RECURRENT_ACTIVATIONS[config.family] + 1
        return tokens * element_bytes * kept * config.d_model
    inner = config.dim_feedforward * (5 if config.activation == "swiglu" else 3 if config.activation == "relu2" else 2)
    norms = 2 * config.d_model if config.norm == "rmsnorm" else 0
    dropped = 2 * config.d_model if config.dropout else 0
    block = 5 * config.d_model + _attention_elements(config) + inner + norms + dropped
    if gradient_checkpointing:
        return tokens * element_bytes * (config.num_layers * config.d_model + block + 2 * config.d_model)
    return tokens * element_bytes * (config.num_layers * block + 2 * config.d_model)


def _attention_elements(config: TransformerConfig) -> int:
    """Queries, keys and values as they come out of their matrix, and again for each thing done to them."""
    queries, keys = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
    elements = queries + 2 * keys
    if config.positions == "rotary":
        elements += queries + keys
    if config.qk_norm:
        elements += queries + keys
    if config.num_kv_heads != config.num_heads:
        elements += 2 * queries
    return elements
