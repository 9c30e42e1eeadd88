"""What a metric of answers is: one function of an answer and its context, registered under a name.

    def shouts(answer: str, context: AnswerContext) -> float | None:
        return float(answer.isupper())

It gives a number for one row, or None for a row that it has nothing to say about; the metric of a model is the mean
over the rows that have a number. More is better unless the function is wrapped by `lower_is_better` or `no_better`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pydantic import JsonValue

from loquela.artifacts.examples import Example

Better = Literal["higher", "lower", "neither"]
Measured = float | None
MetricFunction = Callable[[str, "AnswerContext"], Measured]


class SchemaCheck(Protocol):
    """A JSON schema, ready to be asked."""

    def is_valid(self, instance: JsonValue) -> bool:
        """Whether `instance` is what the schema describes."""


@dataclass(frozen=True)
class AnswerContext:
    """Everything about a row that a metric may look at.

    `question` is what the user asked last, `passage` the text that the answer has to rest on (None where the row has
    none), `reference` the expected answer. `expects_refusal`: the passage holds no answer, and saying so is right.
    `refusals` are the refusals that the examples themselves teach, folded as `text.folded` does. `tokens` counts what
    was generated, the stop token left out; `stopped` says that the model ended by itself. `first_token_seconds` and
    `seconds_per_token` were measured on the row's whole batch.
    """

    example: Example
    question: str
    passage: str | None
    reference: str | None
    expects_refusal: bool = False
    refusals: frozenset[str] = field(default_factory=frozenset)
    schema: SchemaCheck | None = None
    tokens: int = 0
    stopped: bool = False
    first_token_seconds: float | None = None
    seconds_per_token: float | None = None

    @property
    def language(self) -> str | None:
        """ISO 639 code of the row, where it is known."""
        return self.example.language


@dataclass(frozen=True)
class DirectedMetric:
    """A metric function with what counts as better."""

    function: MetricFunction
    better: Better

    def __call__(self, answer: str, context: AnswerContext) -> Measured:
        return self.function(answer, context)


def lower_is_better(function: MetricFunction) -> DirectedMetric:
    """Decorator: the smaller the number, the better."""
    return DirectedMetric(function, "lower")


def no_better(function: MetricFunction) -> DirectedMetric:
    """Decorator: a number to know, which says nothing of good or bad."""
    return DirectedMetric(function, "neither")


def better_of(metric: MetricFunction) -> Better:
    """What counts as better under `metric`."""
    return metric.better if isinstance(metric, DirectedMetric) else "higher"
