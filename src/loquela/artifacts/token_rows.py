"""Examples as the model sees them: token ids with the weight of each token's loss, in rows.

rows/<split>/
  tokens.bin       uint32 little endian, sequence after sequence
  weights.bin      float32 little endian, one a token; 0: seen, not learnt
  sequences.jsonl  {"example", "part", "piece", "turns", "answer", "start", "tokens", "learnt"} a line, by row
  rows.bin         uint64 little endian: number of the first sequence of every row, then the number of sequences

A row holds one sequence, or several when it was packed; positions start anew with every sequence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from loquela.artifacts.manifest import corrupt
from loquela.core.atomic import write_bytes
from loquela.core.model import BoundaryModel

ROWS_NAME = "rows"
TOKENS_NAME, WEIGHTS_NAME = "tokens.bin", "weights.bin"
SEQUENCES_NAME, INDEX_NAME = "sequences.jsonl", "rows.bin"

Part = Literal["", "chosen", "rejected"]


class SequenceRecord(BoundaryModel):
    """One sequence of tokens: which example it shows, which part of a preference, which piece of one that was split.

    `turns` are the messages [first, end) of a conversation that this piece shows beside its system prompt, None where
    it shows all. `answer` is where its last answer stands, tokens [first, end) of the sequence, where all of its tokens
    are learnt (else its last stretch of learnt tokens is its last answer). `start` is its first token in `tokens.bin`,
    `learnt` how many of its tokens have a weight.
    """

    example: str
    part: Part = ""
    piece: int = 0
    turns: tuple[int, int] | None = None
    answer: tuple[int, int] | None = None
    start: int
    tokens: int
    learnt: int


@dataclass(frozen=True)
class TokenSequence:
    """What is written: ids and weights of the same length."""

    example: str
    ids: NDArray[np.uint32]
    weights: NDArray[np.float32]
    part: Part = ""
    piece: int = 0
    turns: tuple[int, int] | None = None
    answer: tuple[int, int] | None = None


@dataclass(frozen=True)
class TokenRow:
    """What is read: one row with the tokens of all its sequences; `lengths` and `answers` are theirs."""

    examples: tuple[str, ...]
    ids: NDArray[np.uint32]
    weights: NDArray[np.float32]
    lengths: tuple[int, ...]
    answers: tuple[tuple[int, int] | None, ...] = ()

    @property
    def positions(self) -> NDArray[np.int64]:
        """Position of every token within its own sequence."""
        return np.concatenate([np.arange(length, dtype=np.int64) for length in self.lengths])


def write_token_rows(directory: Path, split: str, rows: Sequence[Sequence[TokenSequence]]) -> None:
    """Write the rows of one split; ResourceError when the file system refuses."""
    folder = directory / ROWS_NAME / split
    sequences = [sequence for row in rows for sequence in row]
    write_bytes(folder / TOKENS_NAME, b"".join(sequence.ids.astype("<u4").tobytes() for sequence in sequences))
    write_bytes(folder / WEIGHTS_NAME, b"".join(sequence.weights.astype("<f4").tobytes() for sequence in sequences))
    lines, start = [], 0
    for sequence in sequences:
        record = SequenceRecord(
            example=sequence.example,
            part=sequence.part,
            piece=sequence.piece,
            turns=sequence.turns,
            answer=sequence.answer,
            start=start,
            tokens=len(sequence.ids),
            learnt=int(np.count_nonzero(sequence.weights)),
        )
        lines.append(record.model_dump_json() + "\n")
        start += len(sequence.ids)
    write_bytes(folder / SEQUENCES_NAME, "".join(lines).encode("utf-8"))
    firsts = np.cumsum([0, *(len(row) for row in rows)], dtype=np.uint64)
    write_bytes(folder / INDEX_NAME, firsts.astype("<u8").tobytes())


def read_token_rows(directory: Path, split: str) -> Iterator[TokenRow]:
    """The rows of one split in written order; DataError(CORRUPTION) for files that do not fit together.

    A split without rows has none to give.
    """
    folder = directory / ROWS_NAME / split
    if not folder.is_dir():
        return
    records = read_sequences(directory, split)
    try:
        firsts = np.fromfile(folder / INDEX_NAME, dtype="<u8").tolist()
        size = sum(record.tokens for record in records)
        ids = np.fromfile(folder / TOKENS_NAME, dtype="<u4")
        weights = np.fromfile(folder / WEIGHTS_NAME, dtype="<f4")
        _checked(folder / TOKENS_NAME, len(ids), size)
        _checked(folder / WEIGHTS_NAME, len(weights), size)
    except (OSError, ValueError) as error:
        raise corrupt(directory, f"the rows of {split} cannot be read: {error}") from error
    for first, end in pairwise(firsts):
        held = records[first:end]
        start, stop = held[0].start, held[-1].start + held[-1].tokens
        lengths = tuple(record.tokens for record in held)
        yield TokenRow(
            tuple(record.example for record in held),
            ids[start:stop],
            weights[start:stop],
            lengths,
            tuple(record.answer for record in held),
        )


def read_sequences(directory: Path, split: str) -> list[SequenceRecord]:
    """The records of one split's sequences in written order, none where it has none; DataError(CORRUPTION)."""
    path = directory / ROWS_NAME / split / SEQUENCES_NAME
    if not path.is_file():
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [SequenceRecord.model_validate_json(line) for line in lines]
    except (OSError, ValueError) as error:
        raise corrupt(directory, f"the sequences of {split} cannot be read") from error


def _checked(path: Path, items: int, size: int) -> None:
    if items != size:
        raise ValueError(f"{path.name} holds {items} tokens, {SEQUENCES_NAME} says {size}")
