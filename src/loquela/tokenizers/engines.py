"""Faster encoders for a tokenizer, used only where their ids are proven to be the tokenizer's own.

The tokenizer itself is the reference. Another engine must give its ids for every proof string and for a sample of
the text at hand before it is used, and while it works, one batch in `CHECK_EVERY` is encoded by both: the first
difference stops the work.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from loquela.core.errors import ErrorCode, ProofError, ResourceError
from loquela.core.model import BoundaryModel
from loquela.recipe.schema import TokenizerEngine
from loquela.tokenizers.contract import JSON_NAME, TokenizerHandle
from loquela.tokenizers.proof_strings import proof_strings
from loquela.tokenizers.tokie_engine import TokieEngine, tokie_engine

Ids = NDArray[np.uint32]

CHECK_EVERY = 64


class Engine(Protocol):
    """Encodes as a tokenizer's `encode_batch` does."""

    @property
    def name(self) -> str:
        """What the manifest calls it."""

    def encode_batch(self, texts: list[str]) -> list[Ids]:
        """Ids of every text, on all threads."""


class EngineFacts(BoundaryModel):
    """Which engine encoded, why, and on how many texts its ids were compared before it was trusted."""

    engine: str
    reason: str
    compared_texts: int


class LibraryEngine:
    """The tokenizer itself."""

    name = "library"

    def __init__(self, tokenizer: TokenizerHandle) -> None:
        self._tokenizer = tokenizer

    def encode_batch(self, texts: list[str]) -> list[Ids]:
        """Ids of every text; errors are the tokenizer's."""
        return [np.array(ids, dtype=np.uint32) for ids in self._tokenizer.encode_batch(texts)]


class CheckedEngine:
    """Another engine, compared with the tokenizer now and then; ProofError(TOKENIZATION_FAILED) when they differ."""

    def __init__(self, engine: TokieEngine, tokenizer: TokenizerHandle) -> None:
        self.name = engine.name
        self._engine = engine
        self._tokenizer = tokenizer
        self._batches = 0

    def encode_batch(self, texts: list[str]) -> list[Ids]:
        """Ids of every text."""
        found = self._engine.encode_batch(texts)
        if found is None:
            return LibraryEngine(self._tokenizer).encode_batch(texts)
        if self._batches % CHECK_EVERY == 0:
            difference = first_difference(texts, found, self._tokenizer)
            if difference is not None:
                raise ProofError(
                    ErrorCode.TOKENIZATION_FAILED,
                    f"{self.name} encodes a text otherwise than the tokenizer does: {difference}",
                    "set compute.tokenizer_engine: library, and report the text",
                )
        self._batches += 1
        return found


def choose_engine(
    wanted: TokenizerEngine, directory: Path, tokenizer: TokenizerHandle, sample: list[str]
) -> tuple[Engine, EngineFacts]:
    """The engine for the tokenizer in `directory`; `sample` are texts of the kind that it will encode.

    Raises ProofError or ResourceError(MISSING_EXTRA) when `wanted` names an engine that cannot be had or differs;
    `auto` falls back to the library and says why.
    """
    if wanted == "library":
        return LibraryEngine(tokenizer), EngineFacts(
            engine="library", reason="compute.tokenizer_engine", compared_texts=0
        )
    try:
        engine, compared = _proven(directory, tokenizer, sample)
    except (ProofError, ResourceError) as error:
        if wanted == "tokie":
            raise
        return LibraryEngine(tokenizer), EngineFacts(engine="library", reason=error.message, compared_texts=0)
    reason = f"its ids are those of the tokenizer on {compared} texts, and one batch in {CHECK_EVERY} is compared"
    return CheckedEngine(engine, tokenizer), EngineFacts(engine=engine.name, reason=reason, compared_texts=compared)


def _proven(directory: Path, tokenizer: TokenizerHandle, sample: list[str]) -> tuple[TokieEngine, int]:
    if not (directory / JSON_NAME).is_file():
        raise _not_usable(f"a {tokenizer.method} tokenizer has no {JSON_NAME}")
    engine = tokie_engine(directory / JSON_NAME)
    texts = [*proof_strings(), *sample]
    found = engine.encode_batch(texts)
    difference = "it fails" if found is None else first_difference(texts, found, tokenizer)
    if difference is not None:
        raise _not_usable(difference)
    return engine, len(texts)


def _not_usable(why: str) -> ProofError:
    return ProofError(
        ErrorCode.TOKENIZATION_FAILED,
        f"tokie cannot stand in for this tokenizer: {why}",
        "set compute.tokenizer_engine: auto or library",
    )


def first_difference(texts: list[str], found: list[Ids], tokenizer: TokenizerHandle) -> str | None:
    """Where `found` is not what the tokenizer says, in words."""
    for text, ids, expected in zip(texts, found, tokenizer.encode_batch(texts), strict=True):
        if ids.tolist() != expected:
            place = next(
                (n for n, (one, other) in enumerate(zip(ids.tolist(), expected, strict=False)) if one != other),
                min(len(ids), len(expected)),
            )
            return f"token {place} of {text[:60]!r} is {_at(ids.tolist(), place)}, not {_at(expected, place)}"
    return None


def _at(ids: list[int], place: int) -> str:
    return str(ids[place]) if place < len(ids) else "absent"
