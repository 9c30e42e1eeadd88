"""One export of a run's model, made where it is not there yet."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.bundle import Bundle, open_bundle
from loquela.core.errors import DataError
from loquela.export.exporting import Export
from loquela.export.fastest import fastest_format
from loquela.export.report import read_report
from loquela.export.source import ModelSource, find_model
from loquela.monitoring.events import Bus
from loquela.recipe.export_section import ExportSection, ExportTarget


def export_model(
    run: Path, target: ExportTarget, section: ExportSection, held_out: Path | None, bus: Bus, fastest: bool
) -> dict[str, JsonValue]:
    """The bundle's name, digest, report, and whether it was there before, whole and of the same model.

    `fastest` takes the format that the model is served fastest in. Raises what `find_model`, `fastest_format` and
    `Export.run` raise.
    """
    source = find_model(run)
    if fastest:
        target = target.model_copy(update={"format": fastest_format(source, target.quantize)})
    place = source.exports / target.name
    before = _same(place, source, target)
    bundle = before or Export(source, target, place, section, held_out, bus).run()
    return {
        "name": place.name,
        "digest": bundle.manifest.digest,
        "bytes": sum(record.size_bytes for record in bundle.manifest.files),
        "reused": before is not None,
        "report": read_report(place).model_dump(mode="json"),
    }


def _same(place: Path, source: ModelSource, target: ExportTarget) -> Bundle | None:
    try:
        bundle = open_bundle(place)
    except DataError:
        return None
    made_of = bundle.manifest.parents.get(source.role) == source.digest
    asked = bundle.manifest.settings.get("target") == target.model_dump(mode="json")
    return bundle if made_of and asked else None
