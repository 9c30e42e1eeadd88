"""Metrics by name: ours and those of installed packages (entry-point group `loquela.metrics`), through one door."""

from __future__ import annotations

import math
from collections.abc import Sequence

from loquela.core.entry import resolve
from loquela.core.errors import ErrorCode, LoquelaError, ProofError, RecipeError
from loquela.core.near_names import unknown_name
from loquela.core.registry import Registry
from loquela.evaluation.tuned.metric_contract import AnswerContext, Better, MetricFunction, better_of

METRICS: Registry[MetricFunction] = Registry("metric", "loquela.metrics")
_HERE = "loquela.evaluation.tuned.metrics"
for _name, _module in {
    "exact_match": "agreement",
    "token_f1": "agreement",
    "citation_rate": "citations",
    "json_validity": "json_answers",
    "json_schema": "json_answers",
    "refusal_correctness": "refusals",
    "refusal_precision": "refusals",
    "refusal_recall": "refusals",
    "over_refusal": "refusals",
    "groundedness": "groundedness",
    "stop_rate": "behaviour",
    "answer_tokens": "behaviour",
    "first_token_seconds": "behaviour",
    "seconds_per_token": "behaviour",
}.items():
    METRICS.register(_name, f"{_HERE}.{_module}:{_name}")

# Measured on token rows, not on answers, and always.
LOSS_METRICS = ("loss", "perplexity")


def metric_names() -> list[str]:
    """Everything that can be measured."""
    return sorted([*METRICS.names(), *LOSS_METRICS])


def metric_named(name: str) -> MetricFunction:
    """The function registered as `name`.

    RecipeError: NOT_REGISTERED names the nearest for an unknown name; INVALID_METRIC when what is registered cannot
    be loaded or is no function.
    """
    path = METRICS.path(name)
    try:
        found: object = resolve(path)
    except (ImportError, AttributeError) as error:
        raise _unusable(name, path, f"cannot be loaded: {error}") from error
    if not callable(found):
        raise _unusable(name, path, f"is a {type(found).__name__}, not a function")
    function: MetricFunction = found
    return function


def check_names(names: Sequence[str], *, where: str) -> None:
    """RecipeError(NOT_REGISTERED) with the nearest name for the first of `names` that is none; `where` it was read."""
    known = metric_names()
    for name in names:
        if name not in known:
            raise RecipeError(
                ErrorCode.NOT_REGISTERED,
                f"{where}: {unknown_name('metric', name, known)}",
                "use one of the known names, or install a package with an entry point in 'loquela.metrics'",
                details={"metric": name},
            )


def direction_of(name: str) -> Better:
    """What counts as better under the metric called `name`."""
    return "lower" if name in LOSS_METRICS else better_of(metric_named(name))


def measured(name: str, function: MetricFunction, answer: str, context: AnswerContext) -> float | None:
    """One metric of one answer; ProofError(METRIC_COMPUTATION_ERROR) names metric and row when it fails."""
    try:
        value = function(answer, context)
    except LoquelaError:
        raise
    except Exception as error:
        # A stranger's function may raise anything; whatever it is, the metric is what failed.
        raise _failed(name, context, f"{type(error).__name__}: {error}") from error
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _failed(name, context, f"it gave {value!r} instead of a finite number or None")
    return float(value)


def _unusable(name: str, path: str, why: str) -> RecipeError:
    return RecipeError(
        ErrorCode.INVALID_METRIC,
        f"the metric {name!r}, registered as {path}, {why}",
        "mend or remove the package that registers it, or leave the metric out",
        details={"metric": name, "path": path},
    )


def _failed(name: str, context: AnswerContext, why: str) -> ProofError:
    return ProofError(
        ErrorCode.METRIC_COMPUTATION_ERROR,
        f"the metric {name!r} failed on row {context.example.id}: {why}",
        f"mend the metric, or leave {name} out of evaluate.tuned.metrics",
        details={"metric": name, "example": context.example.id},
    )
