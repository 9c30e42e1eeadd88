"""Results on stdout: one JSON object, or text and tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from loquela.core.text.visible import visible

if TYPE_CHECKING:
    from pydantic import JsonValue
    from rich.console import Console

PIPE_WIDTH = 160
"""Columns when stdout is no terminal: rich would otherwise cut tables at 80."""


def emit_json(value: JsonValue) -> None:
    """Print one JSON value; the only thing a command with `--json` puts on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_text(text: str = "", *, nl: bool = True, err: bool = False) -> None:
    """Print what may hold the words of somebody else: a terminal obeys nothing in it."""
    stream = sys.stderr if err else sys.stdout
    click.echo(visible(text) if stream.isatty() else text, nl=nl, err=err)


def screen() -> Console:
    """A console on stdout; colours follow the terminal and NO_COLOR."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str | None = None) -> None:
    """Print a table of plain texts."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    grid = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(visible(cell)) for cell in row))
    screen().print(grid)


def tell_notes(notes: Sequence[str]) -> None:
    """What the reader of a result should know, on stderr."""
    for note in notes:
        print_text(f"note: {note}", err=True)
