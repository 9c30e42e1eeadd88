"""The ModelExporter: an export as request and result."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

from loquela.artifacts.bundle import Bundle
from loquela.core.errors import ErrorCode, LoquelaError
from loquela.export.contracts import (
    ExporterErrorCode,
    ModelExporterError,
    ModelExporterRequest,
    ModelExporterResult,
)
from loquela.export.exporting import Export
from loquela.export.source import find_model
from loquela.monitoring.events import Bus
from loquela.recipe.export_section import ExportSection, ExportTarget

DEFAULT_PRUNING = 0.2
CODES: dict[ErrorCode, ExporterErrorCode] = {
    ErrorCode.UNSUPPORTED_FORMAT: "UNSUPPORTED_FORMAT",
    ErrorCode.OPTIMIZATION_ERROR: "OPTIMIZATION_ERROR",
}


class ModelExporter:
    """Exports trained models; trace points export_start, optimization_applied and export_complete go to `bus`.

    `section` holds the limits, `shards` the held-out text (None: the model's own), `pruning_share` is what a request
    with pruning sets to zero.
    """

    def __init__(
        self,
        bus: Bus,
        section: ExportSection | None = None,
        *,
        shards: Path | None = None,
        pruning_share: float = DEFAULT_PRUNING,
    ) -> None:
        self.bus = bus
        self.section = section or ExportSection()
        self.shards = shards
        self.pruning_share = pruning_share
        self.bundles: dict[UUID, Bundle] = {}

    def export(self, request: ModelExporterRequest, place: Path | None = None) -> ModelExporterResult:
        """Make the bundle at `place`, or among the exports of the run that the model lies in.

        Raises LoquelaError as `Export.run`; `error_of` says it in the component's own words.
        """
        source = find_model(Path(request.checkpoint_path))
        target = ExportTarget(
            format=request.export_format,
            quantize=request.optimization.quantization,
            prune=self.pruning_share if request.optimization.pruning else 0.0,
        )
        bundle = Export(
            source, target, place or source.exports / target.name, self.section, self.shards, self.bus
        ).run()
        export_id = uuid4()
        self.bundles[export_id] = bundle
        return ModelExporterResult(
            export_id=export_id,
            export_path=str(bundle.directory),
            format=target.format,
            size_mb=sum(record.size_bytes for record in bundle.manifest.files) / 1e6,
            inference_ready=True,
        )


def error_of(error: LoquelaError) -> ModelExporterError:
    """`error` as the component's error: what is no matter of format or optimisation is EXPORT_FAILED."""
    return ModelExporterError(error_code=CODES.get(error.code, "EXPORT_FAILED"), details=error.message)
