"""The run's own record: exact recipe, digests of every artifact, versions, hardware, times, outcome."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field, JsonValue, ValidationError

from loquela.core.atomic import write_text
from loquela.core.errors import DataError, ErrorCode
from loquela.core.model import BoundaryModel
from loquela.core.plain_files import read_plain
from loquela.recipe.schema import Recipe

RUN_MANIFEST_NAME = "manifest.json"


class StageRecord(BoundaryModel):
    """One stage as it happened: `key` digests its inputs and settings, `digest` what it made."""

    stage: str
    key: str
    digest: str
    directory: str
    reused: bool
    seconds: float
    facts: dict[str, JsonValue] = Field(default_factory=dict)
    summary: str = ""


class TrainingRunManifest(BoundaryModel):
    """`runs/<run_id>/manifest.json`."""

    format_version: int = 1
    run_id: str
    pipeline_id: uuid.UUID
    recipe: Recipe
    seed: int
    versions: dict[str, JsonValue]
    hardware: dict[str, JsonValue]
    git: dict[str, JsonValue] = Field(default_factory=dict)
    started: datetime = Field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None
    resumed: list[datetime] = Field(default_factory=list)
    stages: dict[str, StageRecord] = Field(default_factory=dict)
    metrics_summary: dict[str, JsonValue] = Field(default_factory=dict)
    failure_class: str | None = None
    last_error: str | None = None

    def save(self, run_directory: Path) -> None:
        """Write the manifest, whole or not at all."""
        write_text(run_directory / RUN_MANIFEST_NAME, self.model_dump_json(indent=2) + "\n")


def load_run_manifest(run_directory: Path) -> TrainingRunManifest:
    """Read a run's manifest; DataError(CORRUPTION) when it is absent or damaged."""
    path = run_directory / RUN_MANIFEST_NAME
    try:
        return TrainingRunManifest.model_validate_json(read_plain(path))
    except (OSError, ValidationError) as error:
        raise DataError(
            ErrorCode.CORRUPTION,
            f"{path} is missing or cannot be read as a run manifest",
            "start a new run; the checkpoints in that folder stay usable with --resume PATH",
            details={"path": str(path)},
        ) from error
