"""The result of a run as a person reads it: numbers, samples, budgets, where everything lies, what to do next."""

from __future__ import annotations

import json
import shlex
import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loquela.cli.comparison import show_comparison_of
from loquela.cli.output import print_text, table

if TYPE_CHECKING:
    from pydantic import JsonValue

    from loquela.artifacts.validation_results import ValidationResults
    from loquela.recipe.schema import Recipe
    from loquela.runs.execution import RunRecord
    from loquela.runs.manifest import TrainingRunManifest

DEFAULT_RUNS = Path("data/runs")
"""Where the other commands look for a run id without --output-directory."""

HEADLINES = (
    "parameters",
    "steps",
    "tokens",
    "tokens_per_second",
    "seconds",
    "train_loss",
    "validation_loss",
    "best_validation_loss",
    "evaluation_loss",
    "perplexity",
    "bits_per_byte",
    "accuracy",
    "f1_score",
    "skipped_steps",
    "rollbacks",
)


def show_result(record: RunRecord) -> None:
    """Print what a finished run is worth."""
    results = record.status.validation_results
    if results is not None:
        show_samples(results)
        show_budgets(results, record.manifest.recipe)
    show_numbers(record.manifest, HEADLINES)
    show_comparison_of(record.manifest)
    show_plan_against_actual(record.directory)
    show_exports(record.manifest)
    show_checks(record.manifest)
    show_tracking(record.directory)
    show_alerts(record.directory)
    named = record.run_id if record.directory.parent == DEFAULT_RUNS else shlex.quote(str(record.directory))
    print_text(f"\neverything is in {record.directory}")
    print_text("next:")
    for line in next_commands(record, named):
        print_text(f"  {line}")


def next_commands(record: RunRecord, named: str) -> list[str]:
    """What one does with a run that is over: ask the model, and prove that everything is whole."""
    if record.manifest.recipe.finetune is None:
        return [
            f'loquela generate {named} --prompt "Once upon a time"',
            f"loquela verify {named}",
            f"loquela runs show {named}",
        ]
    artifact = record.directory / "final_artifact"
    verified = [f"loquela verify {shlex.quote(str(artifact))}"] if artifact.is_dir() else []
    return [f"loquela chat {named}", f"loquela verify {named}", *verified]


def show_samples(results: ValidationResults) -> None:
    """What the model writes."""
    print_text("samples:")
    for text in results.sample_generations:
        width = max(40, min(100, shutil.get_terminal_size().columns))
        print_text(textwrap.fill(" ".join(text.split()), width, initial_indent="  ", subsequent_indent="    "))


def show_budgets(results: ValidationResults, recipe: Recipe) -> None:
    """Each inference budget with its limit and whether it is met."""
    measured, limits = results.inference_metrics, recipe.evaluate.budgets
    rows = [
        ("next token, p95", f"{measured.latency_p95_ms} ms", f"≤ {limits.latency_p95_ms:g} ms"),
        ("throughput", f"{measured.tokens_per_sec:,.0f} tokens/s", f"≥ {limits.tokens_per_second:g} tokens/s"),
        ("resident memory", f"{measured.rss_mb} MB", f"≤ {limits.rss_mb:g} MB"),
        ("peak memory", f"{measured.peak_mb} MB", f"≤ {limits.peak_mb:g} MB"),
    ]
    verdict = "met" if results.constitutional_compliance else "not met"
    table(("in a process of its own", "measured", "limit"), rows, title=f"inference budgets: {verdict}")


def show_numbers(manifest: TrainingRunManifest, names: Sequence[str] | None = None) -> None:
    """What the stages measured: the numbers called `names`, or all."""
    measured = manifest.metrics_summary
    rows = [(name.replace("_", " "), shown(measured[name])) for name in names or measured if name in measured]
    if rows:
        table(("measured", "value"), rows)


def show_exports(manifest: TrainingRunManifest) -> None:
    """How near each export is to the model, on held-out text."""
    columns = ("size", "mean KL, nats", "same likeliest token", "loss")
    rows = [
        (
            name,
            f"{numbers.get('bytes', 0.0) / 1e6:.2f} MB",
            f"{numbers.get('mean_kl', 0.0):.2g}",
            f"{numbers.get('top1_agreement', 0.0):.2%}",
            f"{numbers.get('loss_increase', 0.0):+.4f}",
        )
        for name, numbers in measured_by(manifest, "export").items()
    ]
    if rows:
        table(("export", *columns), rows, title="exports: each within its limits, in exports/")


def show_checks(manifest: TrainingRunManifest) -> None:
    """What each export did under load."""
    rows = [
        (
            name,
            f"{numbers.get('latency_p95_ms', 0.0):.1f} ms",
            f"{numbers.get('requests_per_second', 0.0):.1f}/s",
            f"{numbers.get('generation_tokens_per_second', 0.0):,.0f}/s",
            f"{numbers.get('peak_mb', 0.0):.0f} MB",
            f"{numbers.get('cold_start_seconds', 0.0):.1f} s",
        )
        for name, numbers in measured_by(manifest, "deploy_check").items()
    ]
    if rows:
        columns = ("deployment check", "request, p95", "requests", "tokens", "peak", "cold start")
        table(columns, rows, title="deployment check: passed, reports in deploy/")


def measured_by(manifest: TrainingRunManifest, stage: str) -> dict[str, dict[str, float]]:
    """The numbers that a stage left of each export; empty when it did not run."""
    record = manifest.stages.get(stage)
    found: dict[str, dict[str, float]] = {}
    for name, facts in (record.facts if record is not None else {}).items():
        if isinstance(facts, dict):
            found[name] = {key: float(value) for key, value in facts.items() if isinstance(value, int | float)}
    return found


def show_alerts(directory: Path) -> None:
    """How many alerts somebody was told of, and the first that nobody could be told of."""
    from loquela.runs.alerting.log import read_delivered

    found = read_delivered(directory)
    sent = sum(one.outcome == "sent" for one in found)
    lost = [one for one in found if one.outcome in ("failed", "dropped")]
    if sent or lost:
        told = f"{len(lost)} not ({lost[0].error or 'the queue was full'})" if lost else "none lost"
        print_text(f"alerts: {sent} sent, {told}; loquela alerts list {shlex.quote(str(directory))}")


def show_tracking(directory: Path) -> None:
    """Where each tracker kept the run, or what it did not take."""
    from loquela.monitoring.tracking.listener import read_tracking

    for found in read_tracking(directory):
        print_text(f"tracked by {found.sentence()}")


def show_plan_against_actual(directory: Path) -> None:
    """How the prediction held."""
    path = directory / "plan_against_actual.json"
    if not path.is_file():
        return
    found: JsonValue = json.loads(path.read_text(encoding="utf-8"))
    rows = [
        tuple(shown(row.get(name)) for name in ("what", "predicted", "actual", "ratio"))
        for row in (found if isinstance(found, list) else [])
        if isinstance(row, dict)
    ]
    if rows:
        table(("", "predicted", "actual", "actual / predicted"), rows)


def shown(value: JsonValue) -> str:
    """A number with thousands and at most four decimals; anything else as text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–" if value is None else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4f}".rstrip("0").rstrip(".")
