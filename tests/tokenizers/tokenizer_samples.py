"""Small texts, and a tokenizer of each method trained on them once per test process."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from loquela.monitoring.events import SilentBus
from loquela.recipe.schema import TokenizerSection
from loquela.tokenizers.contract import TokenizerStats
from loquela.tokenizers.train import train_tokenizer

METHODS = ["bpe", "unigram", "wordpiece", "char", "word", "sentencepiece", "sentencepiece:bpe"]
LOSSLESS = ["bpe", "unigram", "sentencepiece", "sentencepiece:bpe"]

SENTENCES = [
    "The cat sat on the mat,\nand the dog sat on the cat.\n\n",
    "El ñandú corrió; la niña rió: «¿qué más?»\r\n",
    "\tThe rat ate 12 of the 345 oats  that the cat had.  \n",
    "La casa blanca está cerca del río Orinoco — the river is near.\n",
    "the cat sat the cat sat the mat cccc oooo ssss xxxx\n",
]
TRAINING = [f"{SENTENCES[i % 5]}{SENTENCES[(i * 3 + 1) % 5]}" for i in range(60)]
HELD_OUT = ["The dog ate the oats.\n", "La niña está cerca.\n\n", "the cat sat on 345 mats, zebra"]


def section(method: str, vocab_size: int = 420, **settings: object) -> TokenizerSection:
    """Recipe section of `method`; "sentencepiece:bpe" is SentencePiece with BPE inside."""
    name, _, model_type = method.partition(":")
    values = {"method": name, "vocab_size": vocab_size, "sentencepiece_model_type": model_type or "unigram"}
    return TokenizerSection.model_validate(values | settings)


def train(method: str, directory: Path, training: list[str] | None = None, **settings: object) -> TokenizerStats:
    """Train on the samples, or on `training`."""
    texts = TRAINING if training is None else training
    return train_tokenizer(
        section(method, **settings), lambda: iter(texts), lambda: iter(HELD_OUT), directory, SilentBus()
    )


@functools.cache
def trained(method: str) -> Path:
    """Folder of a tokenizer of `method`; removed when the process ends."""
    holder = tempfile.TemporaryDirectory(prefix="loquela-tokenizer-")
    HOLDERS.append(holder)
    train(method, Path(holder.name))
    return Path(holder.name)


HOLDERS: list[tempfile.TemporaryDirectory[str]] = []
