"""Base against adapter as a person reads it: one table, what was forgotten, the limits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.output import table, tell_notes

if TYPE_CHECKING:
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
    from loquela.evaluation.tuned.report import (
        COLUMNS,
        forgetting_rows,
        gate_rows,
        harness_rows,
        headline,
        metric_rows,
    )

    report = read_comparison(directory)
    table(COLUMNS, metric_rows(report), title=headline(report))
    if report.forgetting:
        table(("general questions", "number", "base", "adapter", "lost"), forgetting_rows(report))
    if report.harness:
        table(("task", "metric", "base", "adapter"), harness_rows(report))
    gates = judged(report, recipe.evaluate.tuned)
    if gates:
        table(("limit", "adapter", "required", "verdict"), gate_rows(gates))
    tell_notes(report.notes)
    click.echo(f"report: {directory / 'report.md'}")
