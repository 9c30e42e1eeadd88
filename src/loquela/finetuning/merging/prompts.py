"""Held-out prompts on which a merged model is compared with the adapter on its base."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from loquela.artifacts.base import Base
from loquela.artifacts.token_rows import TokenRow, read_token_rows
from loquela.tokenizers.contract import TokenizerHandle
from loquela.tokenizers.of_base import load_base_tokenizer
from loquela.tokenizers.proof_strings import proof_strings

# In the order in which they are looked into; the rows that were learnt come last and are said to be that.
SPLITS = {"test": "held-out", "validation": "held-out", "train": "trained-on"}
POSITIONS_PER_PROMPT = 64
SHORTEST = 4

Item = TypeVar("Item")


@dataclass(frozen=True)
class Prompt:
    """Token ids, the positions at which the next token is compared, and how many of the ids are the prompt proper."""

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    asked: int


@dataclass(frozen=True)
class Prompts:
    """What is compared; `origin` says in words where it comes from."""

    origin: str
    prompts: tuple[Prompt, ...]


def prompts_for(base: Base, examples: Path | None, count: int) -> Prompts:
    """Rows of the examples where there are any, else built-in texts in the tokens of `base`."""
    context = base.identity.context
    found = None if examples is None else from_examples(examples, count, context)
    return found or from_proof_strings(load_base_tokenizer(base), count, context)


def from_examples(examples: Path, count: int, context: int) -> Prompts | None:
    """`count` sequences of the examples, evenly over the first split that has rows; None where no split has any."""
    for split, word in SPLITS.items():
        rows = read_token_rows(examples, split)
        found = [each for row in rows for each in _prompts_of(row, context) if len(each.ids) >= 2]
        if found:
            return Prompts(f"{word} rows of the examples ({split})", _evenly(found, count))
    return None


def from_proof_strings(tokenizer: TokenizerHandle, count: int, context: int) -> Prompts:
    """Built-in texts of many scripts; the second half of each is what is asked for."""
    encoded = [tuple(ids[:context]) for ids in tokenizer.encode_batch(proof_strings()) if len(ids) >= SHORTEST]
    prompts = [Prompt(ids, _limited(range(len(ids) - 1)), len(ids) // 2) for ids in encoded]
    return Prompts("built-in texts, no example of the adapter's own", _evenly(prompts, count))


def _prompts_of(row: TokenRow, context: int) -> Iterator[Prompt]:
    """Every sequence of a row on its own."""
    start = 0
    for length in row.lengths:
        stop = start + min(length, context)
        ids = tuple(row.ids[start:stop].tolist())
        # The token at i + 1 is predicted at i.
        learnt = np.flatnonzero(row.weights[start + 1 : stop])
        positions = learnt.tolist() if len(learnt) else range(len(ids) - 1)
        yield Prompt(ids, _limited(positions), int(learnt[0]) + 1 if len(learnt) else max(1, len(ids) // 2))
        start += length


def _limited(positions: Sequence[int]) -> tuple[int, ...]:
    return tuple(_spread(positions, POSITIONS_PER_PROMPT))


def _evenly(prompts: Sequence[Prompt], count: int) -> tuple[Prompt, ...]:
    return tuple(_spread(prompts, count))


def _spread(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` of the items, evenly over all of them."""
    if len(items) <= count:
        return list(items)
    return [items[number * len(items) // count] for number in range(count)]
