"""What `run`, `train` and `evaluate` share: load, execute up to a stage, show the result."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.options import load
from loquela.cli.output import emit_json

if TYPE_CHECKING:
    from loquela.monitoring.display import ProgressDisplay


def carry_out(
    recipe: Path, overrides: tuple[str, ...], *, resume: str, until: str | None, quiet: bool, as_json: bool
) -> None:
    """Execute a recipe up to and including the stage `until`, without one to its end.

    Progress goes to stderr, the result to stdout.
    """
    from loquela.cli.run_result import show_result
    from loquela.runs.execution import execute

    resolved = load(recipe, overrides)
    asker = ask if sys.stdin.isatty() and not as_json else None
    with display_unless(quiet or as_json) as display:
        listeners = [] if display is None else [display]
        record = execute(resolved, resume=resume, until=until, listeners=listeners, ask=asker)
    if as_json:
        emit_json(record.model_dump(mode="json"))
    else:
        show_result(record)


def ask(question: str) -> bool:
    """Ask a person on the terminal; Enter means yes."""
    return click.confirm(question, default=True, err=True)


def display_unless(silent: bool) -> AbstractContextManager[ProgressDisplay | None]:
    """The live display on stderr, or nothing."""
    if silent:
        return nullcontext()
    from loquela.monitoring.display import ProgressDisplay

    return ProgressDisplay()
