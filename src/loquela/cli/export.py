"""`loquela export`: a trained model in a format that other programs run, measured against itself."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.options import json_option, model_argument, model_place, output_directory_option, set_option
from loquela.cli.output import emit_json, table

if TYPE_CHECKING:
    from pydantic import JsonValue

    from loquela.export.contracts import ExportReport
    from loquela.recipe.export_section import ExportSection

FORMATS = ("safetensors", "onnx", "torchscript", "gguf")
QUANTIZATIONS = ("none", "int8", "int4")


@click.command(
    "export",
    epilog="\b\nExample:\n  loquela export latest --format onnx --quantize int8\n"
    "  loquela export latest --format gguf --quantize int4 --output my-model",
)
@model_argument
@click.option("--format", "export_format", type=click.Choice(FORMATS), required=True, help="Format of the files.")
@click.option(
    "--quantize", type=click.Choice(QUANTIZATIONS), default="none", show_default=True, help="How weights are stored."
)
@click.option(
    "--prune", type=float, default=0.0, show_default=True, help="Share of each matrix to set to zero first (0 to 1)."
)
@click.option(
    "--output", type=click.Path(path_type=Path), help="Folder to make; otherwise one below the run's exports/."
)
@set_option
@output_directory_option
@json_option
def command(
    model: str,
    export_format: str,
    quantize: str,
    prune: float,
    output: Path | None,
    overrides: tuple[str, ...],
    output_directory: Path,
    as_json: bool,
) -> None:
    """Export a trained model and prove how near the export is to it.

    MODEL is a run (id, prefix of an id, path, or latest), a model folder, or an adapter, which is merged into its base
    first. The export is run by its own runtime on held-out text; where it is further from the model than the recipe's
    section export allows, nothing is published, the report is kept, and the command exits with 5;
    `--set export.limits_int8.min_top1_agreement=0.9` allows more.
    """
    from loquela.inference.contracts import checked_request
    from loquela.recipe.export_section import ExportTarget

    target = checked_request(ExportTarget, {"format": export_format, "quantize": quantize, "prune": prune})
    place = model_place(model, output_directory)

    from loquela.export.exporting import Export
    from loquela.export.report import read_report
    from loquela.export.source import find_model
    from loquela.monitoring.events import SilentBus

    source = find_model(place)
    section, held_out = settings_of(source.run, overrides)
    bundle = Export(source, target, output or source.exports / target.name, section, held_out, SilentBus()).run()
    report = read_report(bundle.directory)
    if as_json:
        emit_json({"bundle": str(bundle.directory), "report": report.model_dump(mode="json")})
    else:
        show(bundle.directory, report)


def settings_of(run: Path | None, overrides: tuple[str, ...] = ()) -> tuple[ExportSection, Path | None]:
    """Limits and held-out text: those of the run's recipe and data, the defaults where there is no run.

    `overrides` are KEY=VALUE of the recipe's section export.
    """
    from loquela.core.errors import DataError
    from loquela.recipe.export_section import ExportSection
    from loquela.recipe.loading import load_values
    from loquela.runs.manifest import RUN_MANIFEST_NAME, load_run_manifest
    from loquela.runs.places import artifact_of

    recipe = load_run_manifest(run).recipe if run is not None and (run / RUN_MANIFEST_NAME).is_file() else None
    section = (recipe.export if recipe is not None else None) or ExportSection()
    if overrides:
        values: dict[str, JsonValue] = {"export": section.model_dump(mode="json")}
        section = load_values(values, "the export's settings", overrides).recipe.export or section
    if run is None or recipe is None:
        return section, None
    try:
        held_out = artifact_of(run, "prepare" if recipe.finetune is None else "examples")
    except DataError:  # a run whose data was removed is still exported, measured on the proof strings
        return section, None
    return section, held_out if held_out.is_dir() else None


def show(directory: Path, report: ExportReport) -> None:
    """What was measured, and a line that runs it."""
    from loquela.export.card import measurements

    title = f"{report.format}, {report.scheme}: {report.model_bytes / 1e6:.2f} MB"
    table(("measured", ""), measurements(report), title=title)
    click.echo(f"bundle:  {directory}")
    click.echo("run it:")
    click.echo(f"  loquela generate {shlex.quote(str(directory))} --prompt 'Once upon a time'")
