"""Work on a run of a service: queued there, waited for, and its outcome shown as if it had been done here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.outcomes import show_check, show_export, show_merge, show_promotion
from loquela.cli.output import emit_json, print_text, table, tell_notes
from loquela.cli.remote.jobs import done, ended, outcome, raise_failure, report_in
from loquela.cli.remote.recipe import uploaded
from loquela.cli.remote.service import named_export, named_run

if TYPE_CHECKING:
    from pydantic import JsonValue

    from loquela.client.client import Client
    from loquela.runs.verify import VerifyReport


def evaluate(
    client: Client,
    reference: str,
    *,
    split: str | None,
    text: str | None,
    limits: Mapping[str, float],
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure the model of a run; a fine-tuning is compared with its base, and held to `limits`.

    `text` is a file here, which is sent, or what the service calls one.
    """
    run = named_run(client, reference)
    asked: dict[str, JsonValue] = {"split": split} if split is not None else {}
    if text is not None:
        asked["path_override"] = uploaded(client, Path(text)) if Path(text).is_file() else text
    queued = client.evaluate(run.run_id, asked)
    job_id = queued.job_id or ""
    result = done(client, job_id, quiet=quiet or as_json)
    if as_json and not limits:
        emit_json(result)
        return
    place = f"{run.run_id}/evaluations/{job_id}"
    report = result.get("report")
    if isinstance(report, dict) and "metrics" in report:
        _show_comparison(result, limits, place, as_json=as_json)
        return
    if limits:
        raise click.UsageError(f"--fail-under is for a fine-tuning, and {run.run_id} is none")
    from loquela.evaluation.contracts import EvaluationReport
    from loquela.evaluation.report import loss_rows

    measured = report_in(result, EvaluationReport)
    table(("measured", "value"), loss_rows(measured))
    tell_notes(measured.warnings)
    print_text(f"report: {place} at {client.url}")


def _show_comparison(result: dict[str, JsonValue], limits: Mapping[str, float], place: str, *, as_json: bool) -> None:
    from loquela.cli.comparison import show_report
    from loquela.evaluation.tuned.contracts import ComparisonReport
    from loquela.evaluation.tuned.gates import check_direction, judged, refuse_missed
    from loquela.recipe.tuned_section import TunedSection

    report = report_in(result, ComparisonReport)
    section = TunedSection(fail_under=dict(limits))
    check_direction(section)
    gates = judged(report, section)
    if not as_json:
        show_report(report, gates, place)
    refuse_missed(gates, place)
    if as_json:
        emit_json(result)


def export(client: Client, reference: str, asked: Mapping[str, JsonValue], *, as_json: bool) -> None:
    """Export the model of a run. Raises ProofError where the export is further from it than its recipe allows."""
    from loquela.export.contracts import ExportReport

    run = named_run(client, reference)
    result = done(client, client.export(run.run_id, asked).job_id, quiet=as_json)
    bundle = f"{run.run_id}/{result.get('name')}"
    if as_json:
        emit_json({"bundle": bundle, "report": result.get("report")})
        return
    service = f"loquela --server {client.url}"
    next_lines = (f"{service} deploy-check {bundle}", f"{service} artifacts download {bundle}")
    show_export(f"{bundle} at {client.url}", report_in(result, ExportReport), next_lines)


def deploy_check(client: Client, reference: str, asked: Mapping[str, JsonValue], *, as_json: bool) -> None:
    """Check an export of a run; its report is shown also where it did not pass, then its ProofError is raised."""
    from loquela.evaluation.deployment.report import DeployReport

    run, name = named_export(client, reference)
    job = ended(client, client.deploy_check(run.run_id, {"export": name, **asked}).job_id, quiet=as_json)
    if job.result is None:
        raise_failure(job)
    report = report_in(job.result or {}, DeployReport)
    if as_json and job.state == "succeeded":
        emit_json(report.model_dump(mode="json"))
    elif not as_json:
        show_check(report)
        print_text(f"report: {run.run_id}/checks/{name} at {client.url}")
        if report.passed:
            print_text("next:")
            print_text(f"  loquela --server {client.url} promote {run.run_id}/{name}")
    raise_failure(job)


def promote(client: Client, reference: str, *, as_json: bool) -> None:
    """Mark an export of a run as the one in use. Raises what the promotion is refused with."""
    from loquela.evaluation.deployment.promotion import Promotion

    run, name = named_export(client, reference)
    result = done(client, client.promote(run.run_id, {"export": name}).job_id, quiet=as_json)
    record = report_in(result, Promotion, "promotion")
    if as_json:
        emit_json(record.model_dump(mode="json"))
        return
    show_promotion(record, f"{run.run_id}/checks/promoted.json at {client.url}")


def merge(client: Client, reference: str, *, as_json: bool) -> None:
    """Merge the adapter of a run. Raises ProofError where no merged model is near enough."""
    from loquela.artifacts.merge_report import MergeReport

    run = named_run(client, reference)
    result = done(client, client.merge(run.run_id).job_id, quiet=as_json)
    merged = f"{run.run_id}/merged"
    if as_json:
        emit_json({"merged": merged, **{name: result.get(name) for name in ("digest", "reused", "report")}})
        return
    run_it = f"loquela --server {client.url} chat {run.run_id}"
    show_merge(f"{merged} at {client.url}", report_in(result, MergeReport), bool(result.get("reused")), run_it)


def verify(client: Client, reference: str, *, as_json: bool) -> VerifyReport:
    """The proofs of a run, passed or not. Raises what kept them from being made."""
    from loquela.runs.verify import VerifyReport

    run = named_run(client, reference)
    job = ended(client, client.verify(run.run_id).job_id, quiet=as_json)
    # Proofs that fail are the job's result too.
    return report_in({"report": job.result if job.result is not None else outcome(job)}, VerifyReport)
