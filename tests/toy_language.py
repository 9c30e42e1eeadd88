"""A language small enough to compute by hand: a bigram model with known probabilities, and a byte tokenizer."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from loquela.models.config import TransformerConfig
from loquela.models.contract import Cache, LanguageModel


class ByteTokenizer:
    """Four special tokens, then one token per byte."""

    method = "byte"
    pad_id, unk_id, bos_id, eos_id = 0, 1, 2, 3
    vocab_size = 260

    def encode(self, text: str) -> list[int]:
        return [4 + byte for byte in text.encode("utf-8")]

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        return [self.encode(text) for text in texts]

    def decode(self, ids: list[int]) -> str:
        return bytes(token - 4 for token in ids if token >= 4).decode("utf-8", errors="replace")

    def token_text(self, token: int) -> str:
        return ("<pad>", "<unk>", "<bos>", "<eos>")[token] if token < 4 else bytes([token - 4]).decode("latin-1")


class CountingCache:
    def __init__(self, capacity: int) -> None:
        self.position = 0
        self.capacity = capacity


class BigramModel(LanguageModel):
    """p(next | current) is the table [V, V]: hidden states are one-hot, the head holds ln p."""

    def __init__(self, table: Tensor, window: int = 16) -> None:
        super().__init__()
        vocab = table.shape[0]
        self.log_table = nn.Parameter(table.clamp_min(1e-30).log())
        self.config = TransformerConfig(
            vocab_size=vocab, num_layers=1, d_model=vocab, num_heads=1, num_kv_heads=1, head_dim=vocab,
            dim_feedforward=1, max_sequence_length=window,
        )  # fmt: skip

    @property
    def head_weight(self) -> Tensor:
        return self.log_table.T

    def hidden(self, tokens: Tensor) -> Tensor:
        assert tokens.shape[1] <= self.config.max_sequence_length
        return nn.functional.one_hot(tokens, self.config.vocab_size).float()

    def start_cache(self, batch_size: int, capacity: int) -> Cache:
        assert capacity <= self.config.max_sequence_length
        return CountingCache(capacity)

    def step(self, tokens: Tensor, cache: Cache) -> Tensor:
        cache.position += tokens.shape[1]
        assert cache.position <= cache.capacity
        return self.log_table[tokens[:, -1]]


def uniform_model(vocab_size: int, window: int = 16) -> BigramModel:
    """Every token is as likely as every other."""
    return BigramModel(torch.full((vocab_size, vocab_size), 1 / vocab_size), window)


def chain_model(text: str, window: int = 16) -> BigramModel:
    """Writes `text` byte by byte, each byte surely followed by the next, then the end; bytes must be distinct."""
    ids = [3, *ByteTokenizer().encode(text), 3]
    assert len(set(ids[:-1])) == len(ids) - 1
    table = torch.full((260, 260), 0.0)
    table[:, 3] = 1.0
    for before, after in itertools.pairwise(ids):
        table[before] = 0.0
        table[before, after] = 1.0
    return BigramModel(table, window)
