"""Tiny networks with weights that matter, exported to GGUF: what the tests of the format share."""

from __future__ import annotations

from pathlib import Path

import torch

from loquela.export.formats.gguf.exporter import GgufExporter
from loquela.models.build import build_model
from loquela.models.folder import save_model
from toy_run import tiny_config

LLAMA = dict(
    positions="rotary", norm="rmsnorm", activation="swiglu", bias=False, tie_embeddings=False, num_kv_heads=2
)  # fmt: skip
SHAPES = {
    "gpt2": {},
    "gpt2 without biases": dict(bias=False, tie_embeddings=False),
    "gpt2 with grouped queries": dict(num_kv_heads=2),
    "llama": LLAMA,
    "llama tied": LLAMA | dict(tie_embeddings=True),
    "llama with biases": LLAMA | dict(bias=True),
    "llama, another rotary base": LLAMA | dict(rotary_base=500.0, norm_epsilon=1e-3),
    "smollm3": LLAMA | dict(unrotated_every=4, num_layers=5),
    "llama 3": LLAMA
    | dict(
        rotary_scaling=dict(factor=8, low_frequency_factor=1, high_frequency_factor=4, original_context=16),
    ),
    "qwen3": LLAMA | dict(qk_norm=True),
    "qwen3, wide heads": LLAMA | dict(qk_norm=True, head_dim=16),
    "arcee": LLAMA | dict(activation="relu2"),
}


def lively_model(config, seed: int = 7):
    """A network whose norms and biases are no ones and zeros, so that a misplaced one is seen."""
    model = build_model(config, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return model.eval()


def exported(directory: Path, tokenizer_folder: Path, vocab_size: int, quantization: str = "none", **shape):
    """(the network, the GGUF file of it, what the exporter said)."""
    model = lively_model(tiny_config(vocab_size, **shape))
    save_model(model, directory / "model", bos_id=2, eos_id=3, pad_id=0)
    output = directory / f"gguf-{quantization}"
    output.mkdir()
    written = GgufExporter().write(directory / "model", tokenizer_folder, output, quantization)
    return model, output / written.model_file, written
