"""Held-out examples with their token rows → what both sides are measured on.

The prompt of a row is what its trained tokens say: everything before the last run of learnt ones. So the model is
asked exactly as it was taught, whatever the template.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loquela.artifacts.examples import Example, read_examples
from loquela.artifacts.nothing_held_out import why_nothing_held_out
from loquela.artifacts.token_rows import SequenceRecord, read_sequences, read_token_rows
from loquela.core.errors import DataError, ErrorCode
from loquela.evaluation.tuned.asking import answer_of, calls_tools, taught_refusals
from loquela.evaluation.tuned.metrics.text import folded

IN_PIECES = "longer than a row, in pieces"
BAD_ANSWER = "its answer was marked as bad"
NOTHING_LEARNT = "no token of it is learnt"
SAME = "the same as another row"
NO_ROOM = "its prompt fills the model's context"
OTHER_ANSWER = "its trained tokens do not spell its answer"

Decode = Callable[[Sequence[int]], str]


@dataclass(frozen=True)
class HeldOutRow:
    """One example: all its tokens with the weights of their loss.

    `prompt` is empty where nothing is asked (plain text), `reference` what the trained tokens of the answer spell,
    `stop_id` the last of these.
    """

    example: Example
    ids: NDArray[np.int64]
    weights: NDArray[np.float32]
    prompt: tuple[int, ...]
    reference: str | None
    stop_id: int | None

    @property
    def unit(self) -> str:
        """What rows that reword one another have in common."""
        return self.example.variant_of or self.example.id


@dataclass(frozen=True)
class HeldOut:
    """The rows to measure; `total` is how many the split has, `left_out` counts those that cannot be used."""

    split: str
    rows: list[HeldOutRow]
    total: int
    left_out: dict[str, int] = field(default_factory=dict)
    refusals: frozenset[str] = frozenset()

    @property
    def asked(self) -> list[HeldOutRow]:
        """The rows that have something to answer."""
        return [row for row in self.rows if row.prompt]


def held_out(directory: Path, decode: Decode, *, context: int, most: int | None, seed: int) -> HeldOut:
    """The rows of the test split, or of validation where there is no test; at most `most`, drawn by `seed`.

    `context` is the model's, in tokens; `decode` turns ids into text without control tokens. Raises DataError:
    INSUFFICIENT_DATA when nothing is held out or nothing can be used, DATASET_NOT_FOUND without token rows,
    CORRUPTION for files that do not fit together.
    """
    for split in ("test", "validation"):
        examples = {example.id: example for example in read_examples(directory, split)}
        if examples:
            break
    else:
        why, remedy = why_nothing_held_out(directory)
        raise DataError(
            ErrorCode.INSUFFICIENT_DATA,
            f"the examples in {directory} hold nothing out: they have neither a test nor a validation split ({why})",
            remedy,
            details={"path": str(directory)},
        )
    left_out: Counter[str] = Counter()
    rows: dict[str, HeldOutRow] = {}
    for row, why in _rows(directory, split, examples, context, decode):
        if row is None or row.example.id in rows:
            left_out[why or SAME] += 1
        else:
            rows[row.example.id] = row
    if not rows:
        raise DataError(
            ErrorCode.INSUFFICIENT_DATA,
            f"none of the {len(examples)} examples of {split} in {directory} can be measured: {dict(left_out)}",
            "raise examples.max_tokens, or hold other examples out",
            details={"path": str(directory), "left_out": dict(left_out)},
        )
    kept = _drawn(list(rows.values()), most, seed)
    return HeldOut(split, kept, len(examples), dict(left_out), taught_refusals(directory))


def _rows(
    directory: Path, split: str, examples: dict[str, Example], context: int, decode: Decode
) -> Iterator[tuple[HeldOutRow | None, str]]:
    """Every example that has token rows, in their order; None with the reason for one that cannot be used."""
    records = read_sequences(directory, split)
    if not records:
        raise DataError(
            ErrorCode.DATASET_NOT_FOUND,
            f"the examples in {directory} have no token rows of {split}: they were made without a tokenizer",
            "make them again with the base's tokenizer: loquela train RECIPE, with a section finetune",
            details={"path": str(directory), "split": split},
        )
    pieces = Counter(record.example for record in records if record.piece > 0)
    for record, ids, weights in _sequences(directory, split, records):
        example = examples.get(record.example)
        if example is None or record.part == "rejected" or record.piece > 0:
            continue
        why = _unusable(example, weights, in_pieces=pieces[record.example] > 0)
        if why:
            yield None, why
            continue
        row = _row(example, record, ids, weights, decode)
        if len(row.prompt) >= context:
            yield None, NO_ROOM
        elif not _spells(row):
            yield None, OTHER_ANSWER
        else:
            yield row, ""


def _unusable(example: Example, weights: NDArray[np.float32], *, in_pieces: bool) -> str:
    if in_pieces:
        return IN_PIECES
    if example.kind == "feedback" and example.label is False:
        return BAD_ANSWER
    return "" if np.any(weights[1:]) else NOTHING_LEARNT


def _sequences(
    directory: Path, split: str, records: Sequence[SequenceRecord]
) -> Iterator[tuple[SequenceRecord, NDArray[np.int64], NDArray[np.float32]]]:
    left = iter(records)
    for row in read_token_rows(directory, split):
        start = 0
        for length in row.lengths:
            end = start + length
            yield next(left), row.ids[start:end].astype(np.int64), row.weights[start:end]
            start = end


def _row(
    example: Example, record: SequenceRecord, ids: NDArray[np.int64], weights: NDArray[np.float32], decode: Decode
) -> HeldOutRow:
    last = int(np.flatnonzero(weights)[-1])
    gaps = np.flatnonzero(weights[:last] == 0)
    start = int(gaps[-1]) + 1 if gaps.size else 0
    if record.answer is not None:
        start, last = record.answer[0], record.answer[1] - 1
    asks = example.kind != "text" and start > 0
    return HeldOutRow(
        example=example,
        ids=ids,
        weights=weights,
        prompt=tuple(ids[:start].tolist()) if asks else (),
        reference=decode(ids[start : last + 1].tolist()).strip() if asks else None,
        stop_id=int(ids[last]) if asks else None,
    )


def _spells(row: HeldOutRow) -> bool:
    """Whether the last learnt run is the answer of the example, whole: it may have been cut, or lost its beginning."""
    if row.reference is None or calls_tools(row.example):
        return True
    written = answer_of(row.example)
    return written is None or folded(row.reference) == folded(written)


def _drawn(rows: list[HeldOutRow], most: int | None, seed: int) -> list[HeldOutRow]:
    if most is None or len(rows) <= most:
        return rows
    places = sorted(random.Random(f"held-out-{seed}").sample(range(len(rows)), most))
    return [rows[place] for place in places]
