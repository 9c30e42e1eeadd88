"""Counts at every step from rows to splits, of examples and of tokens, as `ledger.json` of an examples folder has them.

convert ─ control text ─ deduplicate ─ augment ─ template ─ overlong ─ split
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError

from loquela.artifacts.corpus import LEDGER_NAME
from loquela.artifacts.manifest import corrupt
from loquela.core.errors import ErrorCode, InternalError
from loquela.core.model import BoundaryModel


class Change(BoundaryModel):
    """What one reason added (positive) or took away (negative); tokens are counted from the template on.

    `touched` is how many items it changed in any way, as by cutting them.
    """

    reason: str
    items: int = 0
    touched: int = 0
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


def read_examples_ledger(directory: Path) -> ExamplesLedger:
    """The ledger of an examples folder; DataError(CORRUPTION) when it cannot be read."""
    try:
        return ExamplesLedger.model_validate_json((directory / LEDGER_NAME).read_bytes())
    except (OSError, ValidationError) as error:
        raise corrupt(directory, f"{LEDGER_NAME} cannot be read") from error
