"""Every row has something to learn, and as much as was counted when the rows were made."""

from __future__ import annotations

import numpy as np
from pydantic import JsonValue

from loquela.artifacts.proof import Proof
from loquela.core.errors import ErrorCode
from loquela.finetuning.proofs.rows_subject import RowsSubject, ShownSequence

NAME = "labels"
REMEDY = (
    "look at the rows: loquela data preview RUN --examples; mend that row, or leave such rows out, counted: "
    "examples.on_bad_row: drop"
)


def prove_labels(subject: RowsSubject) -> Proof:
    """Learnt tokens of every text: least, median, most; the first token of a text is none, nothing predicts it.

    Fails for a text without any, a weight that is no number from 0 up, and for sums that are not those of the ledger.
    """
    counts = [int(np.count_nonzero(shown.weights[1:] > 0)) for shown in subject.sequences]
    numbers: dict[str, JsonValue] = {
        "texts": len(counts),
        "minimum": min(counts, default=0),
        "median": float(np.median(counts)) if counts else 0.0,
        "maximum": max(counts, default=0),
        "learnt_tokens": sum(counts),
        "tokens": sum(len(shown.ids) for shown in subject.sequences),
    }
    fault = _fault(subject, counts)
    return Proof(
        name=NAME,
        passed=fault is None,
        message=fault
        or f"{sum(counts):,} of {numbers['tokens']:,} tokens are learnt; per text at least {numbers['minimum']:,}, "
        f"in the middle {numbers['median']:,.0f}, at most {numbers['maximum']:,}",
        remedy=REMEDY,
        code=ErrorCode.INSUFFICIENT_DATA,
        numbers=numbers,
    )


def _fault(subject: RowsSubject, counts: list[int]) -> str | None:
    if not counts:
        return "there are no rows"
    for shown in subject.sequences:
        if not np.all(np.isfinite(shown.weights)) or bool((shown.weights < 0).any()):
            return f"{_where(shown)} has a loss weight that is no number from 0 up"
    empty = [shown for shown, count in zip(subject.sequences, counts, strict=True) if not count]
    if empty:
        first = empty[0]
        return f"{len(empty)} of {len(counts)} texts have nothing to learn; {_where(first)}: {subject.text_of(first)!r}"
    for split, count in subject.facts.splits.items():
        of_split = [shown for shown in subject.sequences if shown.split == split]
        learnt = sum(int(np.count_nonzero(shown.weights > 0)) for shown in of_split)
        if learnt != count.learnt_tokens:
            return f"{learnt:,} tokens of {split} are learnt, {count.learnt_tokens:,} were counted when rows were made"
    return None


def _where(shown: ShownSequence) -> str:
    return f"row {shown.number} of {shown.split}, {shown.called}"
