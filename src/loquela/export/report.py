"""export_report.json of a bundle."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from loquela.artifacts.bundle import REPORT_NAME
from loquela.artifacts.manifest import corrupt
from loquela.export.contracts import ExportReport


def read_report(directory: Path) -> ExportReport:
    """What was measured when the bundle was made; DataError(CORRUPTION) when it cannot be read."""
    try:
        return ExportReport.model_validate_json((directory / REPORT_NAME).read_bytes())
    except (OSError, ValidationError) as error:
        raise corrupt(directory, f"{REPORT_NAME} cannot be read as the report of an export") from error
