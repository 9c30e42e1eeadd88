"""`loquela runs`: what ran, how it went, what it wrote, what differs, what happens now; on a service also stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.options import json_option, output_directory_option, quiet_option, run_argument
from loquela.cli.output import emit_json, print_text, table
from loquela.cli.remote.service import named_run, required_service, service_in_use
from loquela.cli.where import ServedGroup

if TYPE_CHECKING:
    from pydantic import JsonValue

    from loquela.runs.comparison import Difference, RunComparison
    from loquela.runs.status import PipelineStatus


@click.group("runs", cls=ServedGroup, epilog="\b\nExample:\n  loquela runs list\n  loquela runs diff demo-2026 latest")
def command() -> None:
    """List, show, compare and watch runs.

    A run is named by its id, the beginning of it, its path, or latest.
    """


@command.command("list", epilog="\b\nExample:\n  loquela runs list --output-directory data")
@output_directory_option
@json_option
def list_runs(output_directory: Path, as_json: bool) -> None:
    """List all runs, newest first."""
    client = service_in_use()
    if client is not None:
        from loquela.cli.remote import runs as remote

        remote.list_runs(client, as_json=as_json)
        return
    from loquela.runs.store import RunStore

    found = RunStore(output_directory).list()
    if as_json:
        emit_json({"runs": [summary.model_dump(mode="json") for summary in found]})
        return
    if not found:
        print_text(f"no runs in {output_directory}; start one: loquela run RECIPE")
        return
    rows = [
        (
            summary.run_id,
            summary.phase + (" (running)" if summary.active else ""),
            summary.started.astimezone().strftime("%Y-%m-%d %H:%M"),
            "" if summary.validation_loss is None else f"{summary.validation_loss:.4f}",
            summary.message,
        )
        for summary in found
    ]
    table(("run", "phase", "started", "validation loss", "message"), rows)


@command.command("show", epilog="\b\nExample:\n  loquela runs show latest")
@run_argument
@output_directory_option
@json_option
def show(run: str, output_directory: Path, as_json: bool) -> None:
    """Show one run.

    Phase, stages with their times, samples, budgets, numbers, prediction against fact, and what went wrong.
    """
    client = service_in_use()
    if client is not None:
        from loquela.cli.remote import runs as remote

        remote.show(named_run(client, run), as_json=as_json)
        return
    from loquela.cli.comparison import show_comparison_of
    from loquela.cli.run_result import show_budgets, show_numbers, show_plan_against_actual, show_samples
    from loquela.runs.manifest import load_run_manifest
    from loquela.runs.status import load_status
    from loquela.runs.store import RunStore

    directory = RunStore(output_directory).open(run)
    status, manifest = load_status(directory), load_run_manifest(directory)
    if as_json:
        emit_json(
            {
                "directory": str(directory),
                "status": status.model_dump(mode="json"),
                "manifest": manifest.model_dump(mode="json"),
            }
        )
        return
    print_text(headline(status))
    print_text(f"in {directory}")
    table(
        ("stage", "seconds", "reused", "summary"),
        [
            (record.stage, f"{record.seconds:.1f}", "yes" if record.reused else "", record.summary)
            for record in manifest.stages.values()
        ],
    )
    if status.validation_results is not None:
        show_samples(status.validation_results)
        show_budgets(status.validation_results, manifest.recipe)
    show_numbers(manifest)
    show_comparison_of(manifest)
    show_plan_against_actual(directory)
    if status.error_details is not None:
        print_text(f"failed in {status.error_details.failed_phase}: {status.error_details.error_message}")
        print_text(f"  to mend it: {status.error_details.remedy}")


@command.command("diff", epilog="\b\nExample:\n  loquela runs diff demo-20260101 latest")
@click.argument("first", metavar="RUN")
@click.argument("second", metavar="RUN")
@output_directory_option
@json_option
def diff(first: str, second: str, output_directory: Path, as_json: bool) -> None:
    """Show what differs between two runs.

    Recipe, what each stage made (by digest), versions, hardware and results are compared; of runs that fine-tune also
    the examples, and metrics and answers of the two adapters on the rows that both were evaluated on.
    """
    from loquela.cli.runs_diff import show_adapters, show_examples

    found = _compared(first, second, output_directory)
    if as_json:
        emit_json(found.model_dump(mode="json"))
        return
    parts = {
        "recipe": found.recipe,
        "stages": found.stages,
        "versions": found.versions,
        "hardware": found.hardware,
        "results": found.results,
    }
    for title, differences in parts.items():
        if differences:
            table((title, found.first, found.second), _rows(differences))
        else:
            print_text(f"{title}: the same")
    show_examples(found)
    show_adapters(found)


def _compared(first: str, second: str, output_directory: Path) -> RunComparison:
    client = service_in_use()
    if client is not None:
        from loquela.cli.remote.runs import compared

        return compared(client, first, second)
    from loquela.runs.comparison import compare_runs
    from loquela.runs.store import RunStore

    store = RunStore(output_directory)
    return compare_runs(store.open(first), store.open(second))


@command.command("logs", epilog="\b\nExample:\n  loquela runs logs latest --lines 50")
@run_argument
@click.option(
    "--lines", type=click.IntRange(1, 10_000), default=200, show_default=True, help="How many of the newest lines."
)
@click.option("--follow", is_flag=True, help="With --server: from the beginning, and on as it is written.")
@output_directory_option
@json_option
def logs(run: str, lines: int, follow: bool, output_directory: Path, as_json: bool) -> None:
    """Show the newest lines of a run's log."""
    client = service_in_use()
    if client is not None:
        from loquela.cli.remote import runs as remote

        remote.show_log(client, run, lines, follow=follow, as_json=as_json)
        return
    if follow:
        raise click.UsageError("--follow is for a run of a service; here loquela runs watch RUN follows one")
    from loquela.runs.store import RunStore
    from loquela.service.logs import read_log

    found = read_log(RunStore(output_directory).open(run), lines)
    if as_json:
        emit_json({"lines": [*found]})
        return
    for line in found:
        print_text(line)


@command.command("watch", epilog="\b\nExample:\n  loquela runs watch latest")
@run_argument
@output_directory_option
@quiet_option
@json_option
def watch(run: str, output_directory: Path, quiet: bool, as_json: bool) -> None:
    """Follow a run until it ends.

    Works from any terminal and changes nothing: Ctrl+C ends the watching, not the run. With --json, the last status is
    printed at the end.
    """
    client = service_in_use()
    if client is not None:
        from loquela.cli.remote import runs as remote

        remote.watch(client, named_run(client, run), quiet=quiet, as_json=as_json)
        return
    from loquela.cli.live_display import display_unless
    from loquela.cli.watching import follow
    from loquela.runs.status import load_status
    from loquela.runs.store import RunStore

    directory = RunStore(output_directory).open(run)
    with display_unless(quiet or as_json) as display:
        for event in follow(directory):
            if display is not None:
                display(event)
    status = load_status(directory)
    if as_json:
        emit_json(status.model_dump(mode="json"))
    else:
        print_text(headline(status))


@command.command(
    "cancel",
    epilog="\b\nExample:\n  loquela --server http://127.0.0.1:8040 runs cancel latest",
)
@run_argument
@json_option
def cancel(run: str, as_json: bool) -> None:
    """Stop a run of a service, with everything saved.

    `loquela resume` goes on with it.
    """
    _change(run, "cancel", as_json=as_json)


@command.command(
    "pause",
    epilog="\b\nExample:\n  loquela --server http://127.0.0.1:8040 runs pause latest",
)
@run_argument
@json_option
def pause(run: str, as_json: bool) -> None:
    """Stop a run of a service until it is resumed."""
    _change(run, "pause", as_json=as_json)


def _change(run: str, verb: str, *, as_json: bool) -> None:
    from loquela.cli.remote import runs as remote

    client = required_service(f"{verb} is", "here Ctrl+C stops a run")
    remote.change(client, run, verb, as_json=as_json)


def headline(status: PipelineStatus) -> str:
    """Run, phase, and the message where it says more than the phase."""
    more = f", {status.message}" if status.message not in ("", status.current_phase) else ""
    return f"{status.run_id}: {status.current_phase}{more}"


def _rows(differences: list[Difference]) -> list[tuple[str, str, str]]:
    from loquela.cli.run_result import shown

    def short(value: JsonValue) -> str:
        return value[:16] if isinstance(value, str) and len(value) == 64 else shown(value)

    return [(each.what, short(each.first), short(each.second)) for each in differences]
