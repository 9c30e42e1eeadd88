"""`loquela data report|preview|trace`: what a corpus is, what the model will see, where a token came from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.options import json_option, load, output_directory_option, run_argument, set_option
from loquela.cli.output import emit_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from loquela.artifacts.corpus_report import CorpusReport
    from loquela.artifacts.data_views import Preview, TokenTrace
    from loquela.recipe.schema import DataSection

PROOF_FAILED = 5
SPLITS = click.Choice(["train", "validation", "test"])


@click.group(
    "data", epilog="\b\nExample:\n  loquela data report latest --html report.html\n  loquela data preview latest"
)
def command() -> None:
    """Look at prepared data: how it became, what is in it, where it came from."""


@command.command("report", epilog="\b\nExample:\n  loquela data report latest --html report.html")
@click.argument("corpus", metavar="RUN|CORPUS")
@click.option("--html", "page", type=click.Path(path_type=Path), metavar="FILE", help="Write a page to this file, too.")
@output_directory_option
@json_option
def report(corpus: str, page: Path | None, output_directory: Path, as_json: bool) -> None:
    """Show the ledger, filters, encodings, duplicates, split and leakage of a corpus.

    RUN is an id, the beginning of one, a path, or latest; CORPUS is the folder of a corpus.
    """
    from loquela.cli.corpus_page import corpus_page
    from loquela.cli.corpus_tables import show_report
    from loquela.core.atomic import write_text
    from loquela.core.entry import resolve
    from loquela.runs.places import corpus_folder

    make_report: Callable[[Path], CorpusReport] = resolve("loquela.data.views.report:corpus_report")
    found = make_report(corpus_folder(corpus, output_directory))
    if page is not None:
        write_text(page, corpus_page(found))
    if as_json:
        emit_json(found.model_dump(mode="json"))
        return
    show_report(found)
    if page is not None:
        click.echo(f"page written: {page}")


@command.command(
    "preview", epilog="\b\nExample:\n  loquela data preview recipe.yaml --rows 3\n  loquela data preview latest"
)
@click.argument("place", metavar="RECIPE|RUN")
@set_option
@click.option("--rows", type=click.IntRange(1, 1000), default=3, show_default=True, help="How many rows.")
@click.option("--split", type=SPLITS, default="train", show_default=True, help="Which part of the data.")
@click.option("--examples", is_flag=True, help="Of the examples to fine-tune on; « and » stand around what is learnt.")
@output_directory_option
@json_option
def preview(
    place: str,
    overrides: tuple[str, ...],
    rows: int,
    split: str,
    examples: bool,
    output_directory: Path,
    as_json: bool,
) -> None:
    """Show the first rows as the model will see them: tokens, ends of documents, what is learnt.

    The data must be prepared already (loquela prepare-data). A token in [brackets] is read but not learnt; ¦ divides
    tokens.
    """
    from loquela.cli.prepare_examples import show_examples
    from loquela.core.entry import resolve
    from loquela.runs.manifest import load_run_manifest
    from loquela.runs.places import artifact_of

    run = _run(place, overrides, output_directory)
    if examples:
        show_examples(artifact_of(run, "examples"), rows, split, as_json=as_json)
        return
    context = load_run_manifest(run).recipe.model.max_sequence_length
    make_preview: Callable[[Path, Path, str, int, int], Preview] = resolve("loquela.data.views.preview:preview_rows")
    found = make_preview(artifact_of(run, "prepare"), artifact_of(run, "tokenizer"), split, context, rows)
    if as_json:
        emit_json(found.model_dump(mode="json"))
    else:
        _show_preview(found)


def _run(place: str, overrides: tuple[str, ...], output_directory: Path) -> Path:
    """The run that `place` names, or that prepared the recipe in the file `place`."""
    from loquela.runs.places import prepared_run
    from loquela.runs.store import RunStore

    if Path(place).is_file():
        return prepared_run(Path(place), load(Path(place), overrides).recipe)
    return RunStore(output_directory).open(place)


def _show_preview(found: Preview) -> None:
    for row in found.rows:
        documents = ", ".join(document[:12] for document in row.documents)
        click.echo(
            f"row {row.number:,} of {found.rows_total:,} ({found.split}): {len(row.tokens)} tokens, {row.trained} "
            f"learnt, of documents {documents}"
        )
        click.echo("¦".join(token.text if token.trained else f"[{token.text}]" for token in row.tokens))
        click.echo("as text:")
        click.echo(row.text)
        click.echo()


@command.command("trace", epilog="\b\nExample:\n  loquela data trace latest --split train --token 1000")
@run_argument
@click.option("--split", type=SPLITS, default="train", show_default=True, help="Which part of the data.")
@click.option("--token", type=click.IntRange(min=0), required=True, help="Number of the token in that split, from 0.")
@output_directory_option
@json_option
@click.pass_context
def trace(ctx: click.Context, run: str, split: str, token: int, output_directory: Path, as_json: bool) -> None:
    """Follow one token back: to its document, and to the bytes of its source, which are read again and compared.

    Exits with 5 when what is read again is not what it was. RUN is an id, the beginning of one, a path, or latest.
    """
    from loquela.core.entry import resolve
    from loquela.runs.manifest import load_run_manifest
    from loquela.runs.places import artifact_of
    from loquela.runs.store import RunStore

    directory = RunStore(output_directory).open(run)
    recipe = load_run_manifest(directory).recipe
    follow: Callable[[Path, Path, Path, str, int, DataSection, Path], TokenTrace] = resolve(
        "loquela.data.views.trace:trace_token"
    )
    found = follow(
        artifact_of(directory, "prepare"),
        artifact_of(directory, "ingest"),
        artifact_of(directory, "tokenizer"),
        split,
        token,
        recipe.data,
        directory.absolute().parents[1],
    )
    if as_json:
        emit_json(found.model_dump(mode="json"))
    else:
        _show_trace(found)
    if not all(check.passed for check in found.checks):
        ctx.exit(PROOF_FAILED)


def _show_trace(found: TokenTrace) -> None:
    click.echo(f"token {found.token:,} of {found.split}: {found.text!r} (id {found.id}), in {found.shard}")
    click.echo(
        f"document {found.document}: number {found.document_number:,} of {found.split}, its token {found.place:,}"
    )
    click.echo(f"  …{found.before[-60:]}⟦{found.text}⟧{found.after[:60]}…")
    where = found.lineage
    click.echo(f"source {found.source}" + ("" if found.language is None else f", language {found.language}"))
    if where is not None:
        record = "" if where.record is None else f", record {where.record:,}"
        place = "" if where.byte_start is None else f", bytes {where.byte_start:,} to {where.byte_end or 0:,}"
        pages = "" if where.pages is None else f", pages {where.pages[0]} to {where.pages[1]}"
        click.echo(f"  {where.object}{record}{pages}{place}, characters {where.char_start:,} to {where.char_end:,}")
    for check in found.checks:
        click.echo(f"{'ok    ' if check.passed else 'FAILED'}  {check.name}: {check.message}")
