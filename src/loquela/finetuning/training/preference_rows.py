"""Rows of the tasks that compare answers: pairs (dpo), and answers that were judged (kto).

A pair is one row of two sequences, the chosen first; a judged answer is a row of one sequence. What a step's loss is
divided by are rows, so each of them weighs 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from loquela.artifacts.examples import read_examples
from loquela.artifacts.token_rows import SequenceRecord, TokenRow, read_sequences
from loquela.core.errors import DataError, ErrorCode
from loquela.finetuning.training.rows import Places, TuningRows, open_rows


class ComparedRows(TuningRows):
    """Rows that count alike, however many tokens they have."""

    def weight(self, places: Places) -> float:
        """How many rows there are at `places`."""
        return float(len(places))


def open_pairs(examples: Path, split: str, *, vocab_size: int, context: int) -> ComparedRows:
    """The pairs of one split.

    Errors as of `open_rows`; DataError(CORRUPT_DATA) for an answer without its other one.
    """
    waiting: dict[str, dict[str, TokenRow]] = {}
    pairs: list[TokenRow] = []
    for record, row in _sequences(examples, split, vocab_size, context):
        both = waiting.setdefault(record.example, {})
        if record.part not in ("chosen", "rejected") or record.part in both or record.piece:
            raise _unpaired(split, record.example, f"has a sequence that is {record.part or 'neither of two'}")
        both[record.part] = row
        if len(both) == 2:
            pairs.append(_joined(both["chosen"], both["rejected"]))
            del waiting[record.example]
    if waiting:
        example, both = next(iter(waiting.items()))
        raise _unpaired(split, example, f"has only the {next(iter(both))} answer")
    return ComparedRows(pairs)


def open_judged(examples: Path, split: str, *, vocab_size: int, context: int) -> ComparedRows:
    """The judged answers of one split, each a row of its own; errors as of `open_rows`."""
    return ComparedRows([row for _, row in _sequences(examples, split, vocab_size, context)])


def judgements(examples: Path) -> dict[str, bool]:
    """Example → whether its answer was good; DataError(CORRUPT_DATA) for one that nobody judged."""
    found: dict[str, bool] = {}
    for example in read_examples(examples):
        if example.label is None:
            raise DataError(
                ErrorCode.CORRUPT_DATA,
                f"example {example.id} says neither that its answer is good nor that it is bad",
                "kto learns from rows of kind feedback: give each a label true or false",
            )
        found[example.id] = example.label
    return found


def parts_of(row: TokenRow) -> list[TokenRow]:
    """The sequences of a row, each as a row of its own."""
    ends = np.cumsum(row.lengths).tolist()
    starts = [0, *ends[:-1]]
    return [
        TokenRow((example,), row.ids[start:end], row.weights[start:end], (end - start,))
        for example, start, end in zip(row.examples, starts, ends, strict=True)
    ]


def mismatched(rows: Sequence[TokenRow], context: int) -> dict[str, TokenRow]:
    """Example → its prompt with the answer of the row before it, as kto measures how far the model has moved.

    Which answer that is depends on the rows' order in the artifact alone, so that it is the same in every batch.
    """
    found: dict[str, TokenRow] = {}
    for place, row in enumerate(rows):
        other = rows[place - 1]
        start, answer = _answer_start(row), _answer_start(other)
        ids = np.concatenate([row.ids[:start], other.ids[answer:]])[:context]
        weights = np.concatenate([np.zeros(start, np.float32), other.weights[answer:]])[:context]
        found[row.examples[0]] = TokenRow(row.examples, ids, weights, (len(ids),))
    return found


def _answer_start(row: TokenRow) -> int:
    """The first token of the last stretch that is learnt: what the row was judged for."""
    learnt = np.flatnonzero(row.weights)
    breaks = np.flatnonzero(np.diff(learnt) > 1)
    return int(learnt[breaks[-1] + 1] if len(breaks) else learnt[0])


def _sequences(examples: Path, split: str, vocab_size: int, context: int) -> list[tuple[SequenceRecord, TokenRow]]:
    rows = open_rows(examples, split, vocab_size=vocab_size, context=context)
    sequences = [part for row in rows.rows for part in parts_of(row)]
    return list(zip(read_sequences(examples, split), sequences, strict=True))


def _joined(chosen: TokenRow, rejected: TokenRow) -> TokenRow:
    return TokenRow(
        (*chosen.examples, *rejected.examples),
        np.concatenate([chosen.ids, rejected.ids]),
        np.concatenate([chosen.weights, rejected.weights]),
        (*chosen.lengths, *rejected.lengths),
    )


def _unpaired(split: str, example: str, what: str) -> DataError:
    return DataError(
        ErrorCode.CORRUPT_DATA,
        f"example {example} of {split} {what}",
        "dpo learns from pairs, rows of kind preference, each short enough for examples.max_tokens",
        details={"split": split, "example": example},
    )


Judgements = Mapping[str, bool]
