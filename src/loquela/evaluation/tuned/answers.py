"""Greedy answers to the held-out prompts, batch by batch, with their times."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from loquela.evaluation.tuned.contracts import Answer, Side
from loquela.evaluation.tuned.held_out import Decode, HeldOutRow
from loquela.models.pretrained.causal import CausalModel

Between = Callable[[], None]


class Stopwatch:
    """Notes when each token of a batch came; hands on to `between`, which may end it."""

    def __init__(self, between: Between) -> None:
        self.began = time.perf_counter()
        self.ticks: list[float] = []
        self._between = between

    def __call__(self) -> None:
        self.ticks.append(time.perf_counter() - self.began)
        self._between()

    @property
    def per_token(self) -> float | None:
        """Mean seconds between two tokens; None where there was no second one."""
        if len(self.ticks) < 2:
            return None
        return (self.ticks[-1] - self.ticks[0]) / (len(self.ticks) - 1)


def batches(rows: Sequence[HeldOutRow], batch_size: int) -> list[list[HeldOutRow]]:
    """Rows of like length together, always cut the same way: what a row is answered beside is part of the result."""
    ordered = sorted((row for row in rows if row.prompt), key=lambda row: (len(row.prompt), row.example.id))
    return [ordered[start : start + batch_size] for start in range(0, len(ordered), batch_size)]


def answer_batch(
    model: CausalModel,
    rows: Sequence[HeldOutRow],
    side: Side,
    decode: Decode,
    *,
    max_new_tokens: int,
    stop_ids: frozenset[int],
    pad_id: int,
    between: Between,
) -> list[Answer]:
    """One answer per row, at most as long as the model's context leaves room for."""
    room = model.facts.context - max(len(row.prompt) for row in rows)
    clock = Stopwatch(between)
    written = model.generate_greedy(
        [row.prompt for row in rows],
        max_new_tokens=min(max_new_tokens, room),
        stop_ids=sorted(stop_ids),
        pad_id=pad_id,
        between=clock,
    )
    return [_answer(row, side, ids, decode, stop_ids, clock, len(rows)) for row, ids in zip(rows, written, strict=True)]


def stop_tokens(rows: Sequence[HeldOutRow], eos_ids: Sequence[int], decode: Decode) -> frozenset[int]:
    """The base's own stop tokens, and the control tokens in which trained answers end."""
    taught = {row.stop_id for row in rows if row.stop_id is not None}
    return frozenset([*eos_ids, *(token for token in taught if decode([token]) == "")])


def left_to_do(rows: Sequence[HeldOutRow], batch_size: int, answered: set[str]) -> Iterator[list[HeldOutRow]]:
    """The batches of which a row has no answer yet; `answered` holds the ids of those that have."""
    for batch in batches(rows, batch_size):
        if any(row.example.id not in answered for row in batch):
            yield batch


def _answer(
    row: HeldOutRow,
    side: Side,
    ids: list[int],
    decode: Decode,
    stop_ids: frozenset[int],
    clock: Stopwatch,
    batch_rows: int,
) -> Answer:
    stopped = bool(ids) and ids[-1] in stop_ids
    kept = ids[:-1] if stopped else ids
    return Answer(
        side=side,
        example=row.example.id,
        answer=decode(kept).strip(),
        tokens=len(kept),
        stopped=stopped,
        first_token_seconds=clock.ticks[0],
        seconds_per_token=clock.per_token,
        batch_rows=batch_rows,
    )
