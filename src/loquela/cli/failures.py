"""How an error is told: message and remedy to people, one JSON object to programs, a traceback to a log file."""

from __future__ import annotations

import os
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path

import click

from loquela.cli.output import emit_json, print_text
from loquela.core.atomic import write_text
from loquela.core.error_report import ErrorReport
from loquela.core.errors import ErrorCode, InternalError, Interrupted, LoquelaError, RecipeError


def tell(error: Exception, *, as_json: bool) -> int:
    """Tell `error` on stderr (or as JSON on stdout) and return the exit code."""
    known = as_known(error)
    if as_json:
        emit_json({"error": ErrorReport.of(known).model_dump(mode="json")})
    else:
        if isinstance(error, click.UsageError) and error.ctx is not None:
            click.echo(error.ctx.get_usage(), err=True)
        colour = False if os.environ.get("NO_COLOR") else None
        stopped = isinstance(known, Interrupted)
        label, tint, then = ("stopped", "yellow", "go on") if stopped else (f"error [{known.code}]", "red", "mend it")
        click.secho(f"{label}: ", fg=tint, bold=True, nl=False, err=True, color=colour)
        print_text(known.message, err=True)
        print_text(f"  to {then}: {known.remedy}", err=True)
    return known.exit_code


def as_known(error: Exception) -> LoquelaError:
    """`error` itself, a wrong command line as RecipeError, anything else as our bug with its log file."""
    if isinstance(error, LoquelaError):
        return error
    if isinstance(error, click.ClickException):
        program = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "loquela"
        return RecipeError(ErrorCode.CONFIG_INVALID, error.format_message(), f"see {program} --help")
    log = write_crash_log(error)
    return InternalError(
        ErrorCode.INTERNAL,
        f"{type(error).__name__}: {error}; this is a bug of Loquela, not of your recipe",
        f"report it with {log}",
        details={"log": str(log)},
    )


def write_crash_log(error: Exception) -> Path:
    """Write the traceback below the user's state folder, or the temporary one where that cannot be written."""
    text = "".join(traceback.format_exception(error))
    name = f"crash-{datetime.now(UTC).strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    try:
        write_text(state / "loquela" / name, text)
    except LoquelaError:
        fallback = Path(tempfile.gettempdir()) / f"loquela-{name}"
        write_text(fallback, text)
        return fallback
    return state / "loquela" / name
