"""Whole-set rates for notebooks and programs of one's own: the registered metrics, averaged over given answers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from loquela.core.errors import ErrorCode, ProofError
from loquela.evaluation.tuned.metric_contract import AnswerContext, MetricFunction
from loquela.evaluation.tuned.metrics.citations import citation_rate
from loquela.evaluation.tuned.metrics.groundedness import groundedness
from loquela.evaluation.tuned.metrics.json_answers import json_validity
from loquela.evaluation.tuned.metrics.refusals import refusal_correctness

LARGEST_LOSS = 700.0  # e^709 is the largest power of e that a float holds


def compute_perplexity(loss: float) -> float:
    """exp(`loss`), the loss in nats per token; ProofError(METRIC_COMPUTATION_ERROR) where that is no number."""
    if not loss <= LARGEST_LOSS:
        raise ProofError(
            ErrorCode.METRIC_COMPUTATION_ERROR,
            f"a loss of {loss} has no perplexity that a number can hold",
            "training diverged: evaluate an earlier checkpoint, or train again with a lower learning rate",
        )
    return math.exp(loss)


def compute_citation_rate(answers: Sequence[str], contexts: Sequence[AnswerContext]) -> float | None:
    """Share of the rows that expect a source whose answer names one that exists; None where no row expects any."""
    return _mean(citation_rate, answers, contexts)


def compute_json_validity_rate(answers: Sequence[str], contexts: Sequence[AnswerContext]) -> float | None:
    """Share of the rows that expect JSON whose answer is JSON; None where no row expects any."""
    return _mean(json_validity, answers, contexts)


def compute_refusal_correctness_rate(answers: Sequence[str], contexts: Sequence[AnswerContext]) -> float | None:
    """Share of answers that refuse just where they should; None without answers."""
    return _mean(refusal_correctness, answers, contexts)


def compute_retrieval_groundedness_rate(answers: Sequence[str], contexts: Sequence[AnswerContext]) -> float | None:
    """Mean share of an answer's content that its passage has; None where no row has a passage."""
    return _mean(groundedness, answers, contexts)


def _mean(metric: MetricFunction, answers: Sequence[str], contexts: Sequence[AnswerContext]) -> float | None:
    """ValueError when there is not one context for each answer."""
    values = [metric(answer, context) for answer, context in zip(answers, contexts, strict=True)]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
