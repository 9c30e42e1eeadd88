"""Inference budgets: measured in a fresh process, judged against the recipe."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pydantic import ValidationError

from loquela.core.errors import ErrorCode, ProofError
from loquela.evaluation.contracts import BudgetMeasurement, BudgetReport, BudgetVerdict
from loquela.recipe.budget_section import BudgetSection

TIMEOUT_SECONDS = 300.0


def measure_budgets(model: Path, tokenizer: Path, *, timeout_seconds: float = TIMEOUT_SECONDS) -> BudgetMeasurement:
    """Run the budget process on the two folders.

    Raises ProofError(INFERENCE_FAILED), with what the process said, when it fails or takes too long.
    """
    # -P: a file of the user's in the working directory must not stand in for a library.
    command = [sys.executable, "-P", "-m", "loquela.evaluation.budget_process", str(model), str(tokenizer)]
    try:
        finished = subprocess.run(  # noqa: S603 - our own module, no shell
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _failed(model, f"it was still running after {timeout_seconds:g} seconds") from error
    if finished.returncode != 0:
        raise _failed(model, f"exit code {finished.returncode}: {finished.stderr.strip()[-2000:]}")
    try:
        return BudgetMeasurement.model_validate_json(finished.stdout)
    except ValidationError as error:
        raise _failed(model, f"it printed something else than a measurement: {finished.stdout[-500:]!r}") from error


def judge(measurement: BudgetMeasurement, limits: BudgetSection) -> BudgetReport:
    """One verdict per budget; all must be met for compliance."""
    verdicts = [
        BudgetVerdict(name=name, measured=measured, limit=limit, relation="at most", met=measured <= limit)
        for name, measured, limit in (
            ("latency_p95_ms", measurement.latency_p95_ms, limits.latency_p95_ms),
            ("rss_mb", measurement.rss_mb, limits.rss_mb),
            ("peak_mb", measurement.peak_mb, limits.peak_mb),
        )
    ]
    speed, wanted = measurement.tokens_per_second, limits.tokens_per_second
    verdicts.insert(
        1,
        BudgetVerdict(name="tokens_per_second", measured=speed, limit=wanted, relation="at least", met=speed >= wanted),
    )
    return BudgetReport(
        measurement=measurement,
        verdicts=verdicts,
        constitutional_compliance=all(verdict.met for verdict in verdicts),
    )


def _failed(model: Path, why: str) -> ProofError:
    return ProofError(
        ErrorCode.INFERENCE_FAILED,
        f"the budget process could not run the model in {model}: {why}",
        f"see what it says: python -m loquela.evaluation.budget_process {model}",
        details={"path": str(model)},
    )
