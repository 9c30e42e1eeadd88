"""What `run`, `train` and `evaluate` share: load, execute up to a stage, show the result."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.live_display import display_unless
from loquela.cli.options import load
from loquela.cli.output import emit_json
from loquela.cli.remote.service import is_given, service_in_use
from loquela.core.errors import ProofError

if TYPE_CHECKING:
    from loquela.recipe.schema import Recipe


def carry_out(
    recipe: Path, overrides: tuple[str, ...], *, resume: str, until: str | None, quiet: bool, as_json: bool
) -> None:
    """Execute a recipe up to and including the stage `until`, without one to its end.

    Progress goes to stderr, the result to stdout.
    """
    if queued_instead(recipe, overrides, until=until, quiet=quiet, as_json=as_json):
        return
    from loquela.cli.run_result import show_result
    from loquela.runs.execution import execute

    resolved = load(recipe, overrides)
    asker = ask if sys.stdin.isatty() and not as_json else None
    try:
        with display_unless(quiet or as_json) as display:
            listeners = [] if display is None else [display]
            record = execute(resolved, resume=resume, until=until, listeners=listeners, ask=asker)
    except ProofError as error:
        _show_missed(error, resolved.recipe, as_json=as_json)
        raise
    if as_json:
        emit_json(record.model_dump(mode="json"))
    else:
        show_result(record)


def queued_instead(
    recipe: Path,
    overrides: tuple[str, ...],
    *,
    until: str | None,
    quiet: bool,
    as_json: bool,
    here: tuple[str, ...] = (),
) -> bool:
    """Queue the recipe at the service of `--server` up to a stage and follow its run; False without `--server`.

    UsageError for options that only say something here: `--resume`, and those called `here`.
    """
    client = service_in_use(*here)
    if client is None:
        return False
    if is_given("resume"):
        raise click.UsageError("with --server every run is a new one; loquela --server … resume RUN goes on with one")
    from loquela.cli.remote.runs import queue

    queue(client, recipe, overrides, until=until, quiet=quiet, as_json=as_json)
    return True


def _show_missed(error: ProofError, recipe: Recipe, *, as_json: bool) -> None:
    """The comparison whose limits were missed."""
    from loquela.cli.comparison import show_comparison

    place = error.details.get("comparison")
    if isinstance(place, str) and not as_json:
        show_comparison(Path(place), recipe)


def ask(question: str) -> bool:
    """Ask a person on the terminal; Enter means yes."""
    return click.confirm(question, default=True, err=True)
