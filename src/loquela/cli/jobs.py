"""`loquela jobs`: what a service was asked to do, how far it is, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loquela.cli.options import json_option, quiet_option
from loquela.cli.remote.service import required_service
from loquela.cli.where import ServedGroup

if TYPE_CHECKING:
    from loquela.client.client import Client

HERE = "on this machine a command ends when its work is done"
KINDS = ("run", "tokenizer", "evaluate", "export", "deploy_check", "promote", "merge", "verify")
job_argument = click.argument("job", metavar="JOB")


@click.group(
    "jobs", cls=ServedGroup, epilog="\b\nExample:\n  loquela --server http://127.0.0.1:8040 jobs list --kind export"
)
def command() -> None:
    """List, show, watch, stop and go on with the jobs of a service.

    Runs are jobs too; JOB is an id as it was printed when it was queued.
    """


@command.command("list", epilog="\b\nExample:\n  loquela --server http://127.0.0.1:8040 jobs list --run latest")
@click.option("--kind", type=click.Choice(KINDS), help="Only these.")
@click.option("--run", "run", metavar="RUN", help="Only those on this run.")
@json_option
def list_jobs(kind: str | None, run: str | None, as_json: bool) -> None:
    """Show jobs, newest first."""
    from loquela.cli.remote import jobs as remote
    from loquela.cli.remote.service import named_run

    client = _service()
    remote.list_jobs(client, kind, None if run is None else named_run(client, run).run_id, as_json=as_json)


@command.command("show", epilog="\b\nExample:\n  loquela --server http://127.0.0.1:8040 jobs show export-64f6… --json")
@job_argument
@json_option
def show(job: str, as_json: bool) -> None:
    """Show one job; --json has its whole result."""
    from loquela.cli.remote import jobs as remote

    remote.show_job(_service().job(job), as_json=as_json)


@command.command("watch", epilog="\b\nExample:\n  loquela --server http://127.0.0.1:8040 jobs watch export-64f6…")
@job_argument
@quiet_option
@json_option
def watch(job: str, quiet: bool, as_json: bool) -> None:
    """Follow a job until it ends, then show it.

    Ctrl+C ends the watching, not the job. A job that failed exits as its work does.
    """
    from loquela.cli.remote import jobs as remote

    client = _service()
    found = remote.followed(client, client.job(job).job_id, quiet=quiet or as_json)
    remote.raise_failure(found)
    remote.show_job(found, as_json=as_json)


@command.command("cancel", epilog="\b\nExample:\n  loquela --server http://127.0.0.1:8040 jobs cancel export-64f6…")
@job_argument
@json_option
def cancel(job: str, as_json: bool) -> None:
    """Stop a job; a run saves first, other jobs leave nothing half done."""
    from loquela.cli.remote import jobs as remote

    remote.show_job(_service().cancel_job(job), as_json=as_json)


@command.command("resume", epilog="\b\nExample:\n  loquela --server http://127.0.0.1:8040 jobs resume export-64f6…")
@job_argument
@json_option
def resume(job: str, as_json: bool) -> None:
    """Queue a job again that was stopped, or failed."""
    from loquela.cli.remote import jobs as remote

    remote.show_job(_service().resume_job(job), as_json=as_json)


def _service() -> Client:
    return required_service("jobs are", HERE)
