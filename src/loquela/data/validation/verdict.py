"""What a check found: each rule's value beside its threshold, and what follows for the document."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, Self

from loquela.recipe.quality_rules import RULES

Status = Literal["passed", "warning", "failed"]


@dataclass(frozen=True)
class Signal:
    """One rule's `value` in one document, and whether that is within `threshold`."""

    name: str
    value: float
    threshold: float
    passed: bool


@dataclass(frozen=True)
class Span:
    """Characters [start, end) of the text that was checked, and what was found there."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True)
class Verdict:
    """`text` is the sanitised text; `changes` tells by reason how its UTF-8 bytes changed.

    `score` is 0 to 1 (1 where no quality rule was asked for); `reasons` name what failed or is warned of; `spans` are
    the places of redacted text and personal data, in the text as it stood when each was replaced; `language` is the
    identified one, or the declared one where none was asked for.
    """

    status: Status
    text: str
    score: float
    signals: list[Signal]
    reasons: list[str]
    language: str | None
    changes: dict[str, int] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)

    def blamed(self, reasons: list[str], *, drop: bool) -> Self:
        """The same, failed (`drop`) or warned of for those `reasons`; a failure stays one and is named first."""
        if not reasons:
            return self
        if drop and self.status != "failed":
            return replace(self, status="failed", reasons=[*reasons, *self.reasons])
        status: Status = "failed" if self.status == "failed" else "warning"
        return replace(self, status=status, reasons=[*self.reasons, *reasons])


def judged(values: dict[str, float], thresholds: dict[str, float]) -> tuple[list[Signal], float]:
    """A signal for every value, and the score: the product of how nearly each rule is kept.

    `thresholds` go before the published ones. A rule within its threshold counts 1; one beyond it counts the ratio
    by which it misses, so that a text that is a little short scores a little less than 1.
    """
    score = 1.0
    signals = []
    for name, value in values.items():
        rule = RULES[name]
        threshold = thresholds.get(name, rule.threshold)
        score *= rule.grade(value, threshold)
        signals.append(Signal(name, value, threshold, rule.passes(value, threshold)))
    return signals, score
