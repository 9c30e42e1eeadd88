"""Runs of a service: queued, listed, followed, stopped."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from loquela.cli.live_display import display_unless
from loquela.cli.output import emit_json, print_text, table
from loquela.cli.remote.recipe import recipe_for
from loquela.cli.remote.service import named_run
from loquela.cli.remote.told import PAUSED, as_event, numbers, time_of
from loquela.cli.run_result import shown
from loquela.client.failures import failure

if TYPE_CHECKING:
    from loquela.client.answers import Run
    from loquela.client.client import Client
    from loquela.monitoring.events import Event
    from loquela.runs.comparison import RunComparison

SHOWN_NUMBERS = ("step", "epoch", "loss", "validation_loss", "perplexity")


def queue(
    client: Client, recipe: Path, overrides: tuple[str, ...], *, until: str | None, quiet: bool, as_json: bool
) -> None:
    """Queue a recipe and follow its run to its end. Ctrl+C ends the following, not the run."""
    run = client.train(recipe_for(client, recipe, overrides), until=until)
    print_text(f"queued as {run.run_id} at {client.url}", err=True)
    watch(client, run, quiet=quiet, as_json=as_json)


def watch(client: Client, run: Run, *, quiet: bool, as_json: bool, after: int = 0) -> None:
    """Follow a run until it has ended or is paused, then show how; `after`: the last event that is not of interest.

    Raises the run's own error, with its code and remedy, when it failed.
    """
    try:
        with display_unless(quiet or as_json) as display:
            for event in _events(client, run.run_id, after):
                if display is not None:
                    display(event)
    except KeyboardInterrupt:
        print_text(f"\nthe run goes on; stop it: loquela --server {client.url} runs cancel {run.run_id}", err=True)
        sys.exit(130)
    ended = client.run(run.run_id)
    error = failure(ended)
    if ended.state == "failed" and error is not None:
        raise error
    show(ended, as_json=as_json)


def list_runs(client: Client, *, as_json: bool) -> None:
    """The newest runs of the service."""
    page = client.runs(limit=100)
    if as_json:
        emit_json({"runs": [run.model_dump(mode="json") for run in page.runs]})
        return
    if not page.runs:
        print_text(f"no runs at {client.url}; queue one: loquela --server {client.url} run RECIPE")
        return
    rows = [(run.run_id, run.state, time_of(run.created_at), _numbers(run), run.message) for run in page.runs]
    table(("run", "state", "queued", "progress", "message"), rows)
    if page.next_before is not None:
        print_text("older ones are left out")


def show(run: Run, *, as_json: bool) -> None:
    """One run."""
    if as_json:
        emit_json(run.model_dump(mode="json"))
        return
    print_text(f"{run.run_id}: {run.state}{f', {run.message}' if run.message else ''}")
    times = (("queued", run.created_at), ("started", run.started_at), ("ended", run.ended_at))
    rows = [(name, time_of(at)) for name, at in times if at is not None]
    table(("what", "value"), [*rows, *numbers(run.progress)])
    if run.error is not None:
        print_text(f"failed [{run.error.code}]: {run.error.message}")
        print_text(f"  to mend it: {run.error.remedy}")


def compared(client: Client, first: str, second: str) -> RunComparison:
    """What differs between two runs, as this machine's own comparison."""
    from loquela.cli.remote.jobs import report_in
    from loquela.runs.comparison import RunComparison

    found = client.compare(named_run(client, first).run_id, named_run(client, second).run_id)
    return report_in({"comparison": found.model_dump(mode="json")}, RunComparison, "comparison")


def show_log(client: Client, reference: str, lines: int, *, follow: bool, as_json: bool) -> None:
    """The newest lines of a run's log; with `follow` all of them, and those that are still written.

    Ctrl+C ends the following, not the run.
    """
    run = named_run(client, reference)
    if as_json:
        emit_json({"lines": [*client.logs(run.run_id, lines=lines)]})
        return
    try:
        for line in client.follow_log(run.run_id) if follow else client.logs(run.run_id, lines=lines):
            print_text(line)
    except KeyboardInterrupt:
        sys.exit(130)


def resume(client: Client, reference: str, *, quiet: bool, as_json: bool) -> None:
    """Queue a stopped run again and follow it to its end. Ctrl+C ends the following, not the run."""
    run = named_run(client, reference)
    before = client.events(run_id=run.run_id, after="latest").last_seq
    resumed = client.resume(run.run_id)
    print_text(f"queued again as {run.run_id} at {client.url}", err=True)
    watch(client, resumed, quiet=quiet, as_json=as_json, after=before)


def change(client: Client, reference: str, verb: str, *, as_json: bool) -> None:
    """Cancel or pause a run."""
    run = named_run(client, reference)
    changed = {"cancel": client.cancel, "pause": client.pause}[verb](run.run_id)
    show(changed, as_json=as_json)


def _events(client: Client, run_id: str, after: int) -> Iterator[Event]:
    """The run's events as the display takes them; the jobs around them are the service's own."""
    for told in client.follow(run_id, after=after):
        if told.name == PAUSED and told.job_id == run_id and client.run(run_id).state == "paused":
            return
        if not told.name.startswith("job."):
            yield as_event(told)


def _numbers(run: Run) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {shown(run.progress[name])}" for name in SHOWN_NUMBERS if name in run.progress
    )
