"""Base against adapter as a person reads it: one table, what was forgotten, the limits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.output import table, tell_notes

if TYPE_CHECKING:
    from loquela.evaluation.tuned.contracts import ComparisonReport, GateReport
    from loquela.recipe.schema import Recipe
    from loquela.runs.manifest import TrainingRunManifest


def show_comparison_of(manifest: TrainingRunManifest) -> None:
    """The comparison of a run; nothing where it made none, or it was removed."""
    record = manifest.stages.get("compare")
    if record is not None and Path(record.directory).is_dir():
        show_comparison(Path(record.directory), manifest.recipe)


def show_comparison(directory: Path, recipe: Recipe) -> None:
    """The comparison in `directory`, and how it stands to the recipe's limits."""
    from loquela.evaluation.tuned.gates import judged, read_comparison

    report = read_comparison(directory)
    show_report(report, judged(report, recipe.evaluate.tuned), str(directory / "report.md"))


def show_report(report: ComparisonReport, gates: Sequence[GateReport], place: str) -> None:
    """A comparison that lies at `place`, and which limits it holds."""
    from loquela.evaluation.tuned.report import (
        COLUMNS,
        forgetting_rows,
        gate_rows,
        harness_rows,
        headline,
        metric_rows,
    )

    table(COLUMNS, metric_rows(report), title=headline(report))
    if report.forgetting:
        table(("general questions", "number", "base", "adapter", "lost"), forgetting_rows(report))
    if report.harness:
        table(("task", "metric", "base", "adapter"), harness_rows(report))
    if gates:
        table(("limit", "adapter", "required", "verdict"), gate_rows(gates))
    tell_notes(report.notes)
    click.echo(f"report: {place}")
