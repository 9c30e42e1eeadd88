"""Labels asserted again on the collated batch: learnt exactly where the rows say, whatever collator or kernel is on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from loquela.artifacts.proof import Proof
from loquela.artifacts.token_rows import TokenRow
from loquela.core.errors import ErrorCode
from loquela.finetuning.proofs.chosen_rows import learnt
from loquela.finetuning.proofs.placed import Placed, placed_sequences
from loquela.finetuning.proofs.subject import Batch, Subject

NAME = "collated_labels"
IGNORED = -100
MOST_ROWS = 20_000


def prove_collated_labels(subject: Subject) -> Proof:
    """Every row (evenly drawn beyond 20 000) through the real collator: ids in order, label = id or -100 as written.

    The first token of a sequence has nothing before it to be predicted from: inside a shared row it must not be
    learnt, at the beginning of a row it makes no difference.
    """
    rows = _drawn(subject.training_rows)
    size = subject.settings.batch_size
    tokens = 0
    for start in range(0, len(rows), size):
        group = rows[start : start + size]
        fault, count = _check(subject, group)
        if fault is not None:
            return _proof(fault, {"row": start, "examples": list(group[0].examples[:3])})
        tokens += count
    expected = sum(learnt(row) for row in rows)
    numbers: dict[str, JsonValue] = {"rows": len(rows), "learnt_tokens": tokens, "learnt_tokens_of_rows": expected}
    return _proof(None, numbers)


def _proof(fault: str | None, numbers: dict[str, JsonValue]) -> Proof:
    return Proof(
        name=NAME,
        passed=fault is None,
        message=fault
        or f"{numbers['learnt_tokens']:,} learnt tokens of {numbers['rows']:,} rows stand in the batches as written",
        remedy="report it with this file; the rows themselves are shown by: loquela preview",
        code=ErrorCode.CORRUPT_BATCH,
        numbers=numbers,
    )


def _drawn(rows: Sequence[TokenRow]) -> list[TokenRow]:
    if len(rows) <= MOST_ROWS:
        return list(rows)
    return [rows[int(index)] for index in np.linspace(0, len(rows) - 1, MOST_ROWS)]


def _check(subject: Subject, rows: Sequence[TokenRow]) -> tuple[str | None, int]:
    batch = subject.batch(rows)
    placed = placed_sequences(batch, rows)
    if placed is None:
        return f"the batch of {_named(rows[0])} does not hold its rows' tokens in order", 0
    added = _added_tokens(batch, placed)
    if added:
        return f"{added} tokens that no row holds stand in the batch of {_named(rows[0])}", 0
    labels = batch["labels"].detach().cpu().numpy()
    unexplained = labels != IGNORED
    for each in placed:
        stand = labels[each.row, each.start : each.end]
        fault = _fault(each, stand) or _wrong_weight(each, batch)
        if fault is not None:
            return fault, 0
        unexplained[each.row, each.start : each.end] = False
    if bool(unexplained.any()):
        return f"{int(unexplained.sum())} tokens of padding are learnt in the batch of {_named(rows[0])}", 0
    return None, sum(learnt(row) for row in rows)


def _wrong_weight(placed: Placed, batch: Batch) -> str | None:
    """Where the batch carries weights of its own, they are the row's."""
    held = batch.get("weights")
    if held is None:
        return None
    found = held[placed.row, placed.start : placed.end].detach().float().cpu().numpy()
    apart = np.abs(found[1:] - placed.sequence.weights[1:])
    if not (apart > 0).any():
        return None
    place = int(np.flatnonzero(apart)[0]) + 1
    return f"token {place} of {_named(placed.sequence)} weighs {found[place]:g} and should weigh " + (
        f"{placed.sequence.weights[place]:g}"
    )


def _added_tokens(batch: Batch, placed: Sequence[Placed]) -> int:
    """Tokens that the model sees and no row holds; without a mask, those before or between sequences."""
    mask = batch.get("attention_mask")
    shape = batch["input_ids"].shape
    if mask is not None and mask.shape == shape:
        seen = mask.detach().cpu().numpy() != 0
    else:
        seen = np.zeros(shape, dtype=bool)
        for each in placed:
            seen[each.row, : each.end] = True
    for each in placed:
        seen[each.row, each.start : each.end] = False
    return int(seen.sum())


def _fault(placed: Placed, labels: NDArray[np.int64]) -> str | None:
    sequence = placed.sequence
    wanted = np.where(sequence.weights != 0, sequence.ids.astype(np.int64), IGNORED)
    wrong = labels != wanted
    # Whether the first token has a label changes no loss: nothing in its sequence predicts it.
    wrong[0] = placed.start > 0 and labels[0] != IGNORED
    if not wrong.any():
        return None
    place = int(np.flatnonzero(wrong)[0])
    label = int(labels[place])
    if label == IGNORED:
        says = "is not learnt and should be"
    elif int(wanted[place]) == IGNORED:
        says = "is learnt and should not be"
    else:
        says = f"has the label {label}, another token"
    return f"token {place} of {_named(sequence)} {says}; {int(wrong.sum())} of its {len(labels)} labels are wrong"


def _named(row: TokenRow) -> str:
    return f"example {row.examples[0]}"
