"""What evaluations found, in one shape for all of them.

<run>/eval/metrics.json                 by the run itself, after its training
<run>/evaluations/<job>/metrics.json    asked for later; kept in the job's row as well
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import Field, JsonValue

from loquela.core.model import BoundaryModel
from loquela.core.plain_files import read_plain
from loquela.jobs.records import Job, JobError, JsonObject
from loquela.jobs.states import JobState
from loquela.service.numbers import worded_object

OWN_FOLDER, METRICS_NAME = "eval", "metrics.json"
LARGEST_REPORT_BYTES = 16 * 2**20
NUMBERS = ("loss", "perplexity", "bits_per_byte", "accuracy", "f1_score")


class EvaluationView(BoundaryModel):
    """An evaluation; `status` is its job's state. Of a fine-tuning the numbers are the adapter's."""

    run_id: str
    job_id: str | None = Field(description="null: made by the run itself")
    status: JobState
    error: JobError | None = None
    split: str | None = Field(None, description="null where a text of its own was measured")
    path_override: str | None = None
    loss: float | None = Field(None, description="nats per token")
    perplexity: float | None = None
    bits_per_byte: float | None = None
    accuracy: float | None = None
    f1_score: float | None = None
    seed: int | None = None
    report: dict[str, JsonValue] | None = Field(None, description="metrics.json, whole")
    artifacts: list[str] = Field(default_factory=list, description="files below the run's folder")


def of_job(job: Job) -> EvaluationView:
    """An evaluation that was asked for, or how far it is."""
    result = job.result or {}
    report = result.get("report")
    split, path = job.spec.get("split"), job.spec.get("shown_source")
    view = EvaluationView(
        run_id=job.run_id,
        job_id=job.id,
        status=job.state,
        error=job.error,
        split=str(split) if path is None else None,
        path_override=str(path) if path is not None else None,
    )
    if not isinstance(report, dict):
        return view
    files = result.get("artifacts")
    names = [str(name) for name in files] if isinstance(files, list) else []
    return view.model_copy(update={**_told(report), "artifacts": names})


def of_the_run(run: Job, folder: Path) -> EvaluationView | None:
    """What the run measured after its training; None where there is no report that can be read."""
    place = folder / OWN_FOLDER
    report = _read(place / METRICS_NAME)
    if report is None:
        return None
    validation = report.get("validation")
    split = validation.get("split") if isinstance(validation, dict) else report.get("split")
    names = sorted(path.name for path in place.iterdir() if path.is_file())
    view = EvaluationView(
        run_id=run.run_id,
        job_id=None,
        status=JobState.SUCCEEDED,
        split=str(split),
        artifacts=[f"{OWN_FOLDER}/{name}" for name in names],
    )
    return view.model_copy(update=_told(report))


def _read(path: Path) -> JsonObject | None:
    """A report, as long as it looks like one: the folder may have been edited by hand."""
    try:
        if path.stat().st_size > LARGEST_REPORT_BYTES:
            return None
        found: JsonValue = json.loads(read_plain(path))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _told(report: JsonObject) -> dict[str, JsonValue]:
    seed = report.get("seed")
    return {
        **_numbers(report),
        "seed": seed if isinstance(seed, int) else None,
        "report": worded_object(report),
    }


def _numbers(report: JsonObject) -> dict[str, JsonValue]:
    """The numbers of a report: from scratch they stand under `validation`, of a comparison in a list by name."""
    validation, metrics = report.get("validation"), report.get("metrics")
    if isinstance(validation, dict):
        return {name: validation[name] for name in NUMBERS if isinstance(validation.get(name), int | float)}
    found: dict[str, JsonValue] = {}
    for metric in metrics if isinstance(metrics, list) else []:
        adapter = metric.get("adapter") if isinstance(metric, dict) else None
        if isinstance(metric, dict) and isinstance(adapter, dict) and metric.get("name") in NUMBERS:
            found[str(metric["name"])] = adapter.get("value")
    return found
