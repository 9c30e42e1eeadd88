"""`loquela merge-adapter`: an adapter and its base made one model, measured against the two."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.options import json_option, output_directory_option
from loquela.cli.outcomes import show_merge
from loquela.cli.output import emit_json
from loquela.cli.remote.service import service_in_use

if TYPE_CHECKING:
    from pydantic import JsonValue

    from loquela.finetuning.merging.alone import AdapterPlace

IN_A_RUN = ("adapter", "final_artifact")


@click.command(
    "merge-adapter",
    epilog="\b\nExample:\n  loquela merge-adapter latest\n"
    "  loquela merge-adapter data/runs/mybot-…/final_artifact --base models/SmolLM2-135M --output mybot-merged",
)
@click.argument("adapter", metavar="RUN|ADAPTER")
@click.option(
    "--base",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="The base it was trained on; default: where it was then.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder to make; default: merged/ in the run, else one beside the adapter.",
)
@output_directory_option
@json_option
def command(adapter: str, base: Path | None, output: Path | None, output_directory: Path, as_json: bool) -> None:
    """Merge an adapter into its base and prove that the merged model answers as the two do.

    RUN is an id, a prefix of an id, a path, or latest; ADAPTER a folder with an adapter or a final artifact. Of an
    adapter that was trained on a quantised base, every reading of the base is tried and the nearest taken. Where none
    is near enough, nothing is published, the report is kept, and the command exits with 5.
    """
    client = service_in_use("base", "output")
    if client is not None:
        from loquela.cli.remote.on_run import merge

        merge(client, adapter, as_json=as_json)
        return
    from loquela.artifacts.merge_report import read_merge_report
    from loquela.finetuning.merging.alone import merge_adapter
    from loquela.monitoring.events import SilentBus

    given = _place(adapter, base, output, output_directory)
    manifest, before = merge_adapter(given, SilentBus())
    report = read_merge_report(given.place)
    if as_json:
        measured: JsonValue = report.model_dump(mode="json")
        emit_json({"merged": str(given.place), "digest": manifest.digest, "reused": before, "report": measured})
    else:
        show_merge(str(given.place), report, before, f"loquela chat {shlex.quote(str(given.place))}")


def _place(adapter: str, base: Path | None, output: Path | None, output_directory: Path) -> AdapterPlace:
    """Folder, base, rows and limits: those of the run that the adapter lies in, where it lies in one."""
    from loquela.artifacts.adapter import require_adapter
    from loquela.finetuning.merging.alone import AdapterPlace
    from loquela.runs.manifest import load_run_manifest
    from loquela.runs.places import artifact_of
    from loquela.runs.status import STATUS_NAME
    from loquela.runs.store import RunStore
    from loquela.runs.stored.local_copy import local_model_folder

    folder = Path(adapter).expanduser()
    run = None
    if not folder.is_dir() or (folder / STATUS_NAME).is_file():
        run = local_model_folder(RunStore(output_directory).open(adapter))
        folder = run / "adapter"
    elif folder.name in IN_A_RUN and (folder.absolute().parent / STATUS_NAME).is_file():
        run = folder.absolute().parent
        folder = run / "adapter"
    if run is None:
        return AdapterPlace(folder, output or folder.with_name(f"{folder.name}-merged"), base)
    require_adapter(folder)
    section = load_run_manifest(run).recipe.finetune
    return AdapterPlace(
        adapter=folder,
        place=output or run / "merged",
        base=base or artifact_of(run, "base"),
        examples=artifact_of(run, "examples"),
        options=None if section is None else section.merge,
    )
