"""Counts at every step from rows to splits, of examples and of tokens; they add up or the stage stops.

convert ─ control text ─ deduplicate ─ augment ─ template ─ overlong ─ split
"""

from __future__ import annotations

from pydantic import Field

from loquela.core.errors import ErrorCode, InternalError
from loquela.core.model import BoundaryModel

# Rows go into the first step, examples into all others.
SHOWN = 5
STEPS = ("convert", "special_text", "deduplicate", "augment", "template", "overlong", "split")


class Change(BoundaryModel):
    """What one reason added (positive) or took away (negative); tokens are counted from the template on."""

    reason: str
    items: int = 0
    tokens: int = 0
    learnt_tokens: int = 0
    examples: list[str] = Field(default_factory=list, description="where the first few came from")


class Arrow(BoundaryModel):
    """Totals before and after one step, and the changes that explain the difference."""

    arrow: str
    items_in: int = 0
    items_out: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    learnt_tokens_in: int = 0
    learnt_tokens_out: int = 0
    changes: list[Change] = Field(default_factory=list)

    def check(self) -> None:
        """InternalError(INTERNAL) when what went in and what changed do not make what came out."""
        for unit, before, after in (
            ("items", self.items_in, self.items_out),
            ("tokens", self.tokens_in, self.tokens_out),
            ("learnt tokens", self.learnt_tokens_in, self.learnt_tokens_out),
        ):
            change = sum(_amount(one, unit) for one in self.changes)
            if before + change != after:
                raise InternalError(
                    ErrorCode.INTERNAL,
                    f"the examples' ledger does not add up at {self.arrow}: {before} {unit} and {change:+d} make "
                    f"{before + change}, but {after} came out",
                    "report this as a bug, with the rows that led to it; nothing was kept",
                    details={"arrow": self.arrow, "unit": unit},
                )


def _amount(change: Change, unit: str) -> int:
    return {"items": change.items, "tokens": change.tokens, "learnt tokens": change.learnt_tokens}[unit]


class SplitCount(BoundaryModel):
    """What one split holds: `sequences` are texts (two of a preference), `rows` what the model is given at a time."""

    examples: int = 0
    variants: int = 0
    sequences: int = 0
    rows: int = 0
    tokens: int = 0
    learnt_tokens: int = 0
    padding_tokens: int = 0


class ExamplesLedger(BoundaryModel):
    """All steps in order, and the splits they end in."""

    format_version: int = 1
    arrows: list[Arrow]
    splits: dict[str, SplitCount]

    def check(self) -> None:
        """InternalError(INTERNAL) naming the first step that does not add up, or two that do not meet."""
        for arrow in self.arrows:
            arrow.check()
        for before, after in zip(self.arrows, self.arrows[1:], strict=False):
            meeting = Arrow(
                arrow=f"{before.arrow} → {after.arrow}",
                items_in=before.items_out,
                items_out=after.items_in,
                tokens_in=before.tokens_out,
                tokens_out=after.tokens_in,
                learnt_tokens_in=before.learnt_tokens_out,
                learnt_tokens_out=after.learnt_tokens_in,
            )
            meeting.check()
        last = self.arrows[-1]
        counted = Arrow(
            arrow="splits",
            items_in=last.items_out,
            items_out=sum(split.examples for split in self.splits.values()),
            tokens_in=last.tokens_out,
            tokens_out=sum(split.tokens for split in self.splits.values()),
            learnt_tokens_in=last.learnt_tokens_out,
            learnt_tokens_out=sum(split.learnt_tokens for split in self.splits.values()),
        )
        counted.check()


class ExamplesTally:
    """Collects the counts while examples flow."""

    def __init__(self) -> None:
        self._steps = {name: Arrow(arrow=name) for name in STEPS}
        self._changes: dict[str, dict[str, Change]] = {name: {} for name in STEPS}

    def enter(self, step: str, items: int = 1, tokens: int = 0, learnt_tokens: int = 0) -> None:
        """That much goes into `step`."""
        found = self._steps[step]
        found.items_in += items
        found.tokens_in += tokens
        found.learnt_tokens_in += learnt_tokens

    def leave(self, step: str, items: int = 1, tokens: int = 0, learnt_tokens: int = 0) -> None:
        """That much comes out of `step`."""
        found = self._steps[step]
        found.items_out += items
        found.tokens_out += tokens
        found.learnt_tokens_out += learnt_tokens

    def change(
        self, step: str, reason: str, items: int = 0, tokens: int = 0, learnt_tokens: int = 0, place: str = ""
    ) -> None:
        """`reason` added or removed that much inside `step`; `place` tells where it happened."""
        if not (items or tokens or learnt_tokens):
            return
        change = self._changes[step].setdefault(reason, Change(reason=reason))
        change.items += items
        change.tokens += tokens
        change.learnt_tokens += learnt_tokens
        if place and len(change.examples) < SHOWN:
            change.examples.append(place)

    def ledger(self, splits: dict[str, SplitCount]) -> ExamplesLedger:
        """The counts, checked; InternalError(INTERNAL) when they do not add up."""
        arrows = [
            arrow.model_copy(update={"changes": list(self._changes[name].values())})
            for name, arrow in self._steps.items()
        ]
        ledger = ExamplesLedger(arrows=arrows, splits=splits)
        ledger.check()
        return ledger
