"""Is the adapter good enough? The recipe's limits held against a comparison, whenever it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from loquela.artifacts.manifest import corrupt
from loquela.core.errors import ErrorCode, ProofError, RecipeError
from loquela.evaluation.tuned.contracts import ComparisonReport, GateReport
from loquela.evaluation.tuned.registry import direction_of
from loquela.recipe.schema import Recipe
from loquela.recipe.tuned_section import TunedSection

METRICS_NAME = "metrics.json"


def read_comparison(directory: Path) -> ComparisonReport:
    """The `metrics.json` of a comparison; DataError(CORRUPTION) when it cannot be read."""
    try:
        return ComparisonReport.model_validate_json((directory / METRICS_NAME).read_bytes())
    except (OSError, ValidationError) as error:
        raise corrupt(directory, f"{METRICS_NAME} cannot be read as a comparison") from error


def check_direction(section: TunedSection) -> None:
    """RecipeError(CONFIG_INVALID) for a `fail_under` on what is not better when it is higher."""
    for name in section.fail_under:
        if direction_of(name) != "higher":
            raise RecipeError(
                ErrorCode.CONFIG_INVALID,
                f"evaluate.tuned.fail_under: {name} is not a metric of which more is better, so no value is too low",
                f"remove {name} from fail_under",
            )


def judged(report: ComparisonReport, section: TunedSection) -> list[GateReport]:
    """One verdict per limit; what was not measured does not hold."""
    found = {metric.name: metric.adapter.value for metric in report.metrics}
    gates = []
    for name, limit in section.fail_under.items():
        value = found.get(name)
        gates.append(GateReport(name=name, limit=limit, measured=value, passed=value is not None and value >= limit))
    if section.max_forgetting is not None:
        limit = section.max_forgetting
        gates += [
            GateReport(name=f"forgetting of {each.kind}", limit=limit, measured=each.lost, passed=each.lost <= limit)
            for each in report.forgetting
        ]
    return gates


def check_gates(directory: Path, recipe: Recipe) -> None:
    """Hold the comparison in `directory` against `evaluate.tuned`.

    Raises ProofError(PERFORMANCE_BELOW_THRESHOLD) that names every limit that does not hold.
    """
    refuse_missed(judged(read_comparison(directory), recipe.evaluate.tuned), str(directory))


def refuse_missed(gates: Sequence[GateReport], place: str) -> None:
    """ProofError(PERFORMANCE_BELOW_THRESHOLD) that names every limit that the comparison at `place` misses."""
    missed = [gate for gate in gates if not gate.passed]
    if missed:
        raise ProofError(
            ErrorCode.PERFORMANCE_BELOW_THRESHOLD,
            f"the adapter misses {len(missed)} limit(s): {'; '.join(map(_said, missed))}; see {place}",
            "look at rows.jsonl there for the answers behind it; train on more or other examples, or change "
            "evaluate.tuned.fail_under or max_forgetting; the adapter is kept",
            details={"comparison": place, "missed": [gate.model_dump(mode="json") for gate in missed]},
        )


def _said(gate: GateReport) -> str:
    forgetting = gate.name.startswith("forgetting")
    if gate.measured is None:
        return f"{gate.name} was measured on no row, at least {gate.limit:g} is asked for"
    return f"{gate.name} is {gate.measured:.4g}, {'at most' if forgetting else 'at least'} {gate.limit:g} is asked for"
