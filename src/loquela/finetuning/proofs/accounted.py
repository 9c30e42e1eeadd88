"""Every row that was read became an example or was left out for a reason that is counted."""

from __future__ import annotations

from collections import Counter

from pydantic import JsonValue

from loquela.artifacts.examples import read_examples
from loquela.artifacts.proof import Proof
from loquela.core.errors import ErrorCode, InternalError
from loquela.finetuning.proofs.rows_subject import RowsSubject

NAME = "all_rows_accounted"


def prove_accounted(subject: RowsSubject) -> Proof:
    """Read = kept + added − dropped, by reason and step; what is kept is what the folder and its token rows hold."""
    held: Counter[str] = Counter(example.split for example in read_examples(subject.examples))
    shown = {sequence.example.id for sequence in subject.sequences}
    ids = {example.id for example in read_examples(subject.examples)}
    arrows = subject.ledger.arrows
    dropped: dict[str, int] = {}
    added: dict[str, int] = {}
    for arrow in arrows:
        for change in arrow.changes:
            into = dropped if change.items < 0 else added
            if change.items:
                into[change.reason] = into.get(change.reason, 0) + abs(change.items)
    read = arrows[0].items_in if arrows else 0
    kept = sum(held.values())
    fault = _fault(subject, dict(held), ids, shown, read + sum(added.values()) - sum(dropped.values()))
    reasons = "".join(f"; {number} × {reason}" for reason, number in sorted(dropped.items()))
    numbers: dict[str, JsonValue] = {"read": read, "kept": kept, "added": {**added}, "dropped": {**dropped}}
    return Proof(
        name=NAME,
        passed=fault is None,
        message=fault
        or f"{read:,} rows read + {sum(added.values()):,} made − {sum(dropped.values()):,} dropped = {kept:,}{reasons}",
        remedy=subject.anew,
        code=ErrorCode.VALIDATION_FAILED,
        numbers=numbers,
    )


def _fault(subject: RowsSubject, held: dict[str, int], ids: set[str], shown: set[str], expected: int) -> str | None:
    try:
        subject.ledger.check()
    except InternalError as error:
        return error.message
    if sum(held.values()) != expected:
        return f"the ledger leaves {expected:,} examples, the folder holds {sum(held.values()):,}"
    for split, count in subject.facts.splits.items():
        if held.get(split, 0) != count.examples:
            return f"{count.examples:,} examples went into {split}, {held.get(split, 0):,} are there"
        sequences = sum(sequence.split == split for sequence in subject.sequences)
        if sequences != count.sequences:
            return f"{count.sequences:,} texts went into the rows of {split}, {sequences:,} are there"
    if ids != shown:
        return f"{len(ids - shown)} examples have no token rows, such as {sorted(ids - shown)[0]}"
    return None
