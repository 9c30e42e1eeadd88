"""Two adapters held against each other: what two comparisons measured on the rows that both have.

The rows must be the same for a difference to mean anything, so only shared ones count; they are paired as base and
adapter are within one comparison.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from loquela.core.model import BoundaryModel
from loquela.evaluation.tuned.contracts import MetricReport, RowLoss, RowScores
from loquela.evaluation.tuned.gates import read_comparison
from loquela.evaluation.tuned.records import LOSSES_NAME, ROWS_NAME, read_lines
from loquela.evaluation.tuned.scoring import Comparer

ANSWERS_SHOWN = 5
SAMPLES = 2000


class AnswerPair(BoundaryModel):
    """One row that the two adapters answer differently."""

    example: str
    question: str
    reference: str | None
    first: str
    second: str


class AdaptersCompared(BoundaryModel):
    """`metrics`: "base" is the first run's adapter there, "adapter" the second's. `different` of `rows` answers differ;
    `answers` are the first of these.
    """

    rows: int
    rows_only_first: int
    rows_only_second: int
    different: int
    metrics: list[MetricReport] = Field(default_factory=list)
    answers: list[AnswerPair] = Field(default_factory=list)


def compare_adapters(first: Path, second: Path) -> AdaptersCompared:
    """Hold the comparisons in two folders against each other; DataError(CORRUPTION) when one cannot be read."""
    seed = read_comparison(first).seed
    read_comparison(second)
    one, two = _rows(first), _rows(second)
    shared = [name for name in one if name in two]
    losses = [*_losses(first, "base"), *_losses(second, "adapter")]
    seen = {loss.example for loss in losses if loss.side == "base"} & {
        loss.example for loss in losses if loss.side == "adapter"
    }
    names = list(dict.fromkeys([*shared, *sorted(seen)]))
    comparer = Comparer({name: name for name in names}, samples=SAMPLES, seed=seed)
    scores = [
        one[name].model_copy(
            update={"base_scores": one[name].adapter_scores, "adapter_scores": two[name].adapter_scores}
        )
        for name in shared
    ]
    metrics = [name for name in (scores[0].base_scores if scores else ()) if name in scores[0].adapter_scores]
    differing = [name for name in shared if one[name].adapter != two[name].adapter]
    return AdaptersCompared(
        rows=len(shared),
        rows_only_first=len(one) - len(shared),
        rows_only_second=len(two) - len(shared),
        different=len(differing),
        metrics=[
            *(comparer.losses([loss for loss in losses if loss.example in seen]) if seen else []),
            *(comparer.metric(name, scores) for name in metrics),
        ],
        answers=[
            AnswerPair(
                example=name,
                question=one[name].question,
                reference=one[name].reference,
                first=one[name].adapter,
                second=two[name].adapter,
            )
            for name in differing[:ANSWERS_SHOWN]
        ],
    )


def _rows(directory: Path) -> dict[str, RowScores]:
    return {row.example: row for row in read_lines(directory / ROWS_NAME, RowScores)}


def _losses(directory: Path, shown_as: str) -> list[RowLoss]:
    found = read_lines(directory / LOSSES_NAME, RowLoss)
    return [loss.model_copy(update={"side": shown_as}) for loss in found if loss.side == "adapter"]
