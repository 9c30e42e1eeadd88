"""Answers and losses → one report per metric, with intervals and a verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from loquela.evaluation.tuned.asking import answer_context, with_answer
from loquela.evaluation.tuned.bootstrap import UNITS_MIN, Floats, Interval, Paired, Sums, paired_bootstrap, same
from loquela.evaluation.tuned.contracts import (
    SIDES,
    Answer,
    Estimate,
    MetricReport,
    RowLoss,
    RowScores,
    Side,
    Verdict,
)
from loquela.evaluation.tuned.held_out import HeldOut
from loquela.evaluation.tuned.metric_contract import Better, SchemaCheck
from loquela.evaluation.tuned.registry import LOSS_METRICS, direction_of, measured, metric_named

Transform = Callable[[Floats], Floats]


def score_rows(
    held: HeldOut, answers: Sequence[Answer], metrics: Sequence[str], schema: SchemaCheck | None
) -> Iterator[RowScores]:
    """Every asked row with both answers and what each metric says of them.

    Raises ProofError(METRIC_COMPUTATION_ERROR) for a metric that fails, RecipeError for one that cannot be loaded.
    """
    functions = {name: metric_named(name) for name in metrics}
    found: dict[tuple[Side, str], Answer] = {(answer.side, answer.example): answer for answer in answers}
    for row in held.asked:
        context = answer_context(row.example, row.reference, held.refusals, schema)
        scores: dict[Side, dict[str, float | None]] = {}
        for side in SIDES:
            given = found[side, row.example.id]
            whole = with_answer(
                context,
                tokens=given.tokens,
                stopped=given.stopped,
                first_token_seconds=given.first_token_seconds,
                seconds_per_token=given.seconds_per_token,
            )
            scores[side] = {name: measured(name, function, given.answer, whole) for name, function in functions.items()}
        yield RowScores(
            example=row.example.id,
            question=context.question,
            reference=context.reference,
            base=found["base", row.example.id].answer,
            adapter=found["adapter", row.example.id].answer,
            base_scores=scores["base"],
            adapter_scores=scores["adapter"],
        )


class Comparer:
    """Makes reports of one comparison: the same units, draws and seed for all of its metrics.

    `units` names the unit of every example.
    """

    def __init__(self, units: Mapping[str, str], *, samples: int, seed: int) -> None:
        names = list(dict.fromkeys(units.values()))
        places = {name: place for place, name in enumerate(names)}
        self._units = {example: places[unit] for example, unit in units.items()}
        self._count = len(names)
        self._samples = samples
        self._seed = seed

    def metric(self, name: str, scores: Sequence[RowScores]) -> MetricReport:
        """The mean of one metric of answers over the rows that have a number."""
        base = {row.example: row.base_scores[name] for row in scores}
        adapter = {row.example: row.adapter_scores[name] for row in scores}
        return self._report(name, direction_of(name), _pairs(base), _pairs(adapter), same)

    def losses(self, losses: Sequence[RowLoss]) -> list[MetricReport]:
        """Nats per trained token, weights counted in, and its perplexity."""
        sides: dict[Side, dict[str, tuple[float, float]]] = {
            side: {loss.example: (loss.nats, loss.weight) for loss in losses if loss.side == side} for side in SIDES
        }
        transforms: tuple[Transform, Transform] = (same, np.exp)
        return [
            self._report(name, "lower", sides["base"], sides["adapter"], transform)
            for name, transform in zip(LOSS_METRICS, transforms, strict=True)
        ]

    def _report(
        self,
        name: str,
        better: Better,
        base: Mapping[str, tuple[float, float]],
        adapter: Mapping[str, tuple[float, float]],
        transform: Transform,
    ) -> MetricReport:
        paired = paired_bootstrap(
            self._sums(base), self._sums(adapter), samples=self._samples, seed=self._seed, transform=transform
        )
        return MetricReport(
            name=name,
            better=better,
            rows=len(base.keys() | adapter.keys()),
            units=paired.units,
            base=_estimate(paired.base),
            adapter=_estimate(paired.adapter),
            difference=_estimate(paired.difference),
            verdict=verdict_of(paired, better),
        )

    def _sums(self, pairs: Mapping[str, tuple[float, float]]) -> Sums:
        values, weights = np.zeros(self._count), np.zeros(self._count)
        for example, (value, weight) in pairs.items():
            values[self._units[example]] += value
            weights[self._units[example]] += weight
        return Sums(values, weights)


def verdict_of(paired: Paired, better: Better) -> Verdict:
    """Better or worse where the whole interval of the difference lies on one side of 0, and units are enough."""
    if better == "neither":
        return "not judged"
    low, high = paired.difference.low, paired.difference.high
    if low is None or high is None or paired.units < UNITS_MIN or low <= 0 <= high:
        return "unclear"
    return "better" if (low > 0) == (better == "higher") else "worse"


def _pairs(values: Mapping[str, float | None]) -> dict[str, tuple[float, float]]:
    return {example: (value, 1.0) for example, value in values.items() if value is not None}


def _estimate(interval: Interval) -> Estimate:
    return Estimate(value=interval.value, low=interval.low, high=interval.high)
