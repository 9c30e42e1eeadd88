"""`loquela export`: a trained model in a format that other programs run, measured against itself."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.options import json_option, model_argument, model_place, output_directory_option, set_option
from loquela.cli.outcomes import show_export
from loquela.cli.output import emit_json
from loquela.cli.remote.service import service_in_use

if TYPE_CHECKING:
    from pydantic import JsonValue

FORMATS = ("safetensors", "onnx", "torchscript", "gguf")
QUANTIZATIONS = ("none", "int8", "int4")


@click.command(
    "export",
    epilog="\b\nExample:\n  loquela export latest\n  loquela export latest --format onnx --quantize int8\n"
    "  loquela export latest --format gguf --quantize int4 --output my-model",
)
@model_argument
@click.option(
    "--format",
    "export_format",
    type=click.Choice(FORMATS),
    help="Format of the files. Without it the one that is served fastest: gguf, or onnx where llama.cpp cannot.",
)
@click.option(
    "--quantize",
    type=click.Choice(QUANTIZATIONS),
    help="How weights are stored. Without it none; without --format too, int8.",
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
    export_format: str | None,
    quantize: str | None,
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

    asked: dict[str, JsonValue] = {
        "format": export_format or "gguf",
        "quantize": quantize or ("none" if export_format else "int8"),
        "prune": prune,
    }
    target = checked_request(ExportTarget, asked)
    client = service_in_use("output", "overrides")
    if client is not None:
        from loquela.cli.remote.on_run import export

        wanted: dict[str, JsonValue] = {"format": export_format, "quantize": quantize, "prune": prune}
        export(client, model, wanted, as_json=as_json)
        return
    place = model_place(model, output_directory)

    from loquela.export.exporting import Export
    from loquela.export.fastest import fastest_format
    from loquela.export.report import read_report
    from loquela.export.source import find_model
    from loquela.monitoring.events import SilentBus
    from loquela.runs.export_inputs import export_inputs

    source = find_model(place)
    if export_format is None:
        target = target.model_copy(update={"format": fastest_format(source, target.quantize)})
    section, held_out = export_inputs(source.run, overrides)
    bundle = Export(source, target, output or source.exports / target.name, section, held_out, SilentBus()).run()
    report = read_report(bundle.directory)
    if as_json:
        emit_json({"bundle": str(bundle.directory), "report": report.model_dump(mode="json")})
    else:
        line = f"loquela generate {shlex.quote(str(bundle.directory))} --prompt 'Once upon a time'"
        show_export(str(bundle.directory), report, [line])
