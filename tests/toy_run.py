"""A run folder with a real tokenizer and a tiny, untrained model, as training would leave it."""

from __future__ import annotations

import shutil
from pathlib import Path

from loquela.artifacts.manifest import write_manifest
from loquela.artifacts.shards import ShardsFacts, ShardWriter, dtype_name
from loquela.models.build import build_model
from loquela.models.config import RecurrentConfig, TransformerConfig
from loquela.models.folder import save_model
from loquela.monitoring.events import SilentBus
from loquela.recipe.schema import TokenizerSection
from loquela.tokenizers.load import load_tokenizer
from loquela.tokenizers.train import train_tokenizer

TEXTS = [
    "Once upon a time there was a fox who lived near the river and dreamt of the sea.",
    "Había una vez una zorra que vivía cerca del río y soñaba con el mar; el año pasó.",
    "The old man walked to the house, and the woman said that the door was open.",
    "La mujer dijo que la puerta estaba abierta, y el hombre caminó hasta la casa.",
] * 3


def make_tokenizer(directory: Path, method: str = "bpe", vocab_size: int = 300):
    directory.mkdir(parents=True)
    section = TokenizerSection(method=method, vocab_size=vocab_size)
    train_tokenizer(section, lambda: iter(TEXTS), lambda: iter(TEXTS[:4]), directory, SilentBus())
    write_manifest(directory, "tokenizer")
    return load_tokenizer(directory)


def tiny_config(vocab_size: int, family: str = "transformer", **changes):
    if family != "transformer":
        return RecurrentConfig(family=family, vocab_size=vocab_size, num_layers=2, d_model=16, max_sequence_length=16)
    shape = dict(
        vocab_size=vocab_size, num_layers=2, d_model=32, num_heads=4, num_kv_heads=4, head_dim=8,
        dim_feedforward=64, max_sequence_length=64,
    )  # fmt: skip
    return TransformerConfig(**(shape | changes))


def make_run(directory: Path, family: str = "transformer", **changes) -> Path:
    """`tokenizer/`, `final/` and `shards/` below `directory`."""
    tokenizer = make_tokenizer(directory / "tokenizer")
    model = build_model(tiny_config(tokenizer.vocab_size, family, **changes), seed=7)
    final = directory / "final"
    shutil.copytree(directory / "tokenizer", final, ignore=shutil.ignore_patterns("manifest.json"))
    save_model(model, final, bos_id=2, eos_id=3, pad_id=0)
    write_manifest(final, "checkpoint")
    splits = {}
    for split in ("train", "validation"):
        with ShardWriter(directory / "shards", split, tokenizer.vocab_size) as writer:
            for text in TEXTS:
                writer.write(tokenizer.encode(text), len(text.encode()))
        splits[split] = writer.facts
    facts = ShardsFacts(
        vocab_size=tokenizer.vocab_size, dtype=dtype_name(tokenizer.vocab_size), eos_id=3, splits=splits
    )
    write_manifest(directory / "shards", "shards", facts=facts.model_dump(mode="json"))
    return directory
