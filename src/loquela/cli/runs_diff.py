"""What `loquela runs diff` says of two runs that fine-tune: rows, metrics, answers side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loquela.cli.output import table

if TYPE_CHECKING:
    from loquela.runs.comparison import RunComparison

WIDTH = 60


def show_examples(found: RunComparison) -> None:
    """Rows that only one run has."""
    changed = found.examples
    if changed is None:
        return
    if not changed.added and not changed.removed and not changed.moved:
        click.echo(f"examples: the same {changed.same:,}")
        return
    splits = sorted({*changed.added, *changed.removed})
    table(
        ("examples", f"only in {found.first}", f"only in {found.second}"),
        [(split, str(changed.removed.get(split, 0)), str(changed.added.get(split, 0))) for split in splits],
        title=f"examples: {changed.same:,} in both, {changed.moved:,} of them in another split",
    )
    for sign, rows in (("-", changed.some_removed), ("+", changed.some_added)):
        for row in rows:
            click.echo(f"  {sign} {row}")


def show_adapters(found: RunComparison) -> None:
    """Both adapters on the rows that both were evaluated on."""
    from loquela.evaluation.tuned.report import paired_rows

    compared = found.adapters
    if compared is None:
        return
    table(
        ("adapter", "rows", found.first, found.second, "difference, 95 %", "verdict"),
        paired_rows(compared.metrics),
        title=f"adapters on the {compared.rows} rows of both; {compared.rows_only_first} only of the first, "
        f"{compared.rows_only_second} only of the second",
    )
    if compared.answers:
        table(
            ("asked", "expected", found.first, found.second),
            [
                tuple(_short(text) for text in (pair.question, pair.reference or "", pair.first, pair.second))
                for pair in compared.answers
            ],
            title=f"answers: {compared.different} of {compared.rows} differ",
        )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"
