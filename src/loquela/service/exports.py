"""What a run was exported as, read from its folder; whatever somebody put beside it is passed over."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.bundle import is_bundle, read_facts
from loquela.artifacts.manifest import read_manifest
from loquela.core.errors import LoquelaError
from loquela.core.model import BoundaryModel

EXPORTS = "exports"


class ExportView(BoundaryModel):
    """One export: what is in it and how it is run; nothing is proven by listing it."""

    name: str
    format: str
    quantization: str
    scheme: str
    pruning: float
    parameters: int
    context: int
    runtime: str
    bytes: int
    digest: str
    made_of: dict[str, JsonValue]


class ExportList(BoundaryModel):
    """The exports of a run, by name."""

    run_id: str
    exports: list[ExportView]


def exports_of(run_id: str, folder: Path) -> ExportList:
    """The exports below the run's folder."""
    place = folder / EXPORTS
    there = sorted(place.iterdir()) if place.is_dir() and not place.is_symlink() else []
    found = [_view(path) for path in there if not path.is_symlink() and is_bundle(path)]
    return ExportList(run_id=run_id, exports=[view for view in found if view is not None])


def _view(path: Path) -> ExportView | None:
    try:
        facts, manifest = read_facts(path), read_manifest(path)
    except LoquelaError:
        return None
    return ExportView(
        name=path.name,
        format=facts.format,
        quantization=facts.quantization,
        scheme=facts.scheme,
        pruning=facts.pruning,
        parameters=facts.parameters,
        context=facts.context,
        runtime=facts.runtime,
        bytes=sum(record.size_bytes for record in manifest.files),
        digest=manifest.digest,
        made_of=dict(manifest.parents),
    )
