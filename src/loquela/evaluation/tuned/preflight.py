"""Before anything is trained: can what the recipe wants to be measured be measured?"""

from __future__ import annotations

from importlib import metadata

from pydantic import JsonValue

from loquela.artifacts.proof import Proof
from loquela.core.digests import digest_file
from loquela.core.errors import ErrorCode, RecipeError
from loquela.evaluation.tuned.gates import check_direction
from loquela.evaluation.tuned.harness import check_tasks
from loquela.evaluation.tuned.registry import LOSS_METRICS, METRICS, check_names, metric_named
from loquela.evaluation.tuned.schema_file import read_schema
from loquela.recipe.schema import Recipe
from loquela.recipe.tuned_section import TunedSection


def check_metrics(recipe: Recipe) -> list[Proof]:
    """Metrics, limits, schema and tasks of `evaluate.tuned`, where the recipe fine-tunes.

    Raises RecipeError for a name that is unknown (with the nearest), a metric or schema that cannot be used, and
    ResourceError(MISSING_EXTRA) for tasks without lm-evaluation-harness.
    """
    if recipe.finetune is None:
        return []
    section = recipe.evaluate.tuned
    check_section(section)
    return [
        Proof(
            name="comparison",
            passed=True,
            message=f"base and adapter will be compared by {len(wanted_metrics(section)) + len(LOSS_METRICS)} metrics",
            numbers={"metrics": [*LOSS_METRICS, *wanted_metrics(section)]},
        )
    ]


def check_section(section: TunedSection) -> None:
    """Errors as of `check_metrics`."""
    check_names(section.metrics, where="evaluate.tuned.metrics")
    check_names(list(section.fail_under), where="evaluate.tuned.fail_under")
    for name in section.fail_under:
        if name not in (*section.metrics, *LOSS_METRICS):
            raise RecipeError(
                ErrorCode.CONFIG_INVALID,
                f"evaluate.tuned.fail_under names {name}, which is not measured",
                f"add {name} to evaluate.tuned.metrics",
                details={"metric": name},
            )
    for name in wanted_metrics(section):
        metric_named(name)
    check_direction(section)
    if section.json_schema is not None:
        read_schema(section.json_schema)
    if section.harness:
        check_tasks(section.harness)


def wanted_metrics(section: TunedSection) -> list[str]:
    """The metrics of answers to measure; those of losses always are."""
    return [name for name in section.metrics if name not in LOSS_METRICS]


def fingerprint(recipe: Recipe) -> dict[str, JsonValue]:
    """What lies outside of the recipe and changes a comparison: the schema's text, versions of others' metrics."""
    section = recipe.evaluate.tuned
    found: dict[str, JsonValue] = {
        f"metric {entry.name}": f"{entry.value} {'' if entry.dist is None else entry.dist.version}"
        for entry in metadata.entry_points(group=METRICS.group)
        if entry.name in section.metrics
    }
    path = section.json_schema
    if path is not None and path.expanduser().is_file():
        found[str(path)] = digest_file(path.expanduser())
    return found
