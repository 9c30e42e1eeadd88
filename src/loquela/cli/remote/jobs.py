"""Jobs of a service: waited for with what they tell, and their outcome as this machine would show it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

import click
from pydantic import BaseModel

from loquela.cli.live_display import display_unless
from loquela.cli.output import emit_json, table
from loquela.cli.remote.told import PAUSED, as_event, numbers, time_of
from loquela.cli.run_result import shown

if TYPE_CHECKING:
    from pydantic import JsonValue

    from loquela.client.answers import Job
    from loquela.client.client import Client

STATES = ("queued", "starting", "interrupted", "cancelling")
INTERRUPTED = 130
Report = TypeVar("Report", bound=BaseModel)


def ended(client: Client, job_id: str, *, quiet: bool) -> Job:
    """The job when it has ended, however it did; what happens meanwhile goes to stderr.

    Ctrl+C ends the waiting, not the job, and says so.
    """
    click.echo(f"queued as {job_id} at {client.url}", err=True)
    return followed(client, job_id, quiet=quiet)


def followed(client: Client, job_id: str, *, quiet: bool) -> Job:
    """As `ended`, of a job that is known."""
    try:
        with display_unless(quiet) as display:
            for told in client.follow(job_id=job_id):
                if told.name == PAUSED and client.job(job_id).state == "paused":
                    break
                if display is None:
                    continue
                to = told.data.get("to")
                if told.name.startswith("job.") and to in STATES[1:]:
                    display.console.print(f"{job_id}: {to}{f', {told.message}' if told.message else ''}")
                display(as_event(told))
    except KeyboardInterrupt:
        service = f"loquela --server {client.url}"
        click.echo(f"\nthe job goes on; look: {service} jobs show {job_id}; stop it: … jobs cancel {job_id}", err=True)
        sys.exit(INTERRUPTED)
    return client.job(job_id)


def done(client: Client, job_id: str, *, quiet: bool) -> dict[str, JsonValue]:
    """The result of the job when it has succeeded; its error where it did not, as the work itself raises it."""
    return outcome(ended(client, job_id, quiet=quiet))


def outcome(job: Job) -> dict[str, JsonValue]:
    """The result of a job that succeeded; the error of one that did not."""
    raise_failure(job)
    return job.result or {}


def raise_failure(job: Job) -> None:
    """The error of a job that failed or was stopped."""
    from loquela.client.failures import failure

    error = failure(job)
    if error is not None:
        raise error


def report_in(result: dict[str, JsonValue], model: type[Report], name: str = "report") -> Report:
    """A report inside a result, as the model that this machine shows.

    Raises DataError(COMPATIBILITY_ERROR) where the service is of a version that reports otherwise.
    """
    from pydantic import ValidationError

    from loquela.core.errors import DataError, ErrorCode

    try:
        return model.model_validate(result.get(name))
    except ValidationError as error:
        raise DataError(
            ErrorCode.COMPATIBILITY_ERROR,
            f"the service's {name} is not one that this version can read: {error.error_count()} of its values differ",
            "use the version that the service has; --json of jobs show has the result as it came",
        ) from error


def list_jobs(client: Client, kind: str | None, run_id: str | None, *, as_json: bool) -> None:
    """The newest jobs of the service."""
    page = client.jobs(kind=kind, run_id=run_id, limit=100)
    if as_json:
        emit_json({"jobs": [job.model_dump(mode="json") for job in page.jobs]})
        return
    if not page.jobs:
        click.echo(f"no such jobs at {client.url}")
        return
    rows = [(job.job_id, job.kind, job.run_id, job.state, time_of(job.created_at), job.message) for job in page.jobs]
    table(("job", "kind", "run", "state", "queued", "message"), rows)
    if page.next_before is not None:
        click.echo("older ones are left out")


def show_job(job: Job, *, as_json: bool) -> None:
    """One job."""
    if as_json:
        emit_json(job.model_dump(mode="json"))
        return
    click.echo(f"{job.job_id}: {job.kind} of {job.run_id}, {job.state}{f', {job.message}' if job.message else ''}")
    times = (("queued", job.created_at), ("started", job.started_at), ("ended", job.ended_at))
    rows = [(name, time_of(at)) for name, at in times if at is not None]
    table(("what", "value"), [*rows, *numbers(job.progress), *_plain(job.result or {})])
    if job.error is not None:
        click.echo(f"failed [{job.error.code}]: {job.error.message}")
        click.echo(f"  to mend it: {job.error.remedy}")


def _plain(result: dict[str, JsonValue]) -> list[tuple[str, str]]:
    """What of a result is one value; the rest is in --json."""
    return [
        (name.replace("_", " "), shown(value)) for name, value in result.items() if not isinstance(value, dict | list)
    ]
