"""`PipelineStatus`: the one table of phases and transitions, kept in `status.json`.

    prerequisite_check ─▶ corpus_download ─▶ tokenizer_training ─▶ model_training ─▶ validation ─▶ complete
            └───────────────────┴───────────────────┴──────────────────┴───────────────┴────────▶ failed

`failed` is left only by resuming, which returns to the phase that failed.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from pydantic import Field, JsonValue, ValidationError

from loquela.artifacts.validation_results import ValidationResults
from loquela.core.atomic import write_text
from loquela.core.errors import DataError, ErrorCode, InternalError
from loquela.core.model import BoundaryModel
from loquela.core.plain_files import read_plain

STATUS_NAME = "status.json"
STDERR_LINES_KEPT = 50


class Phase(StrEnum):
    """Where a pipeline is."""

    PREREQUISITE_CHECK = "prerequisite_check"
    CORPUS_DOWNLOAD = "corpus_download"
    TOKENIZER_TRAINING = "tokenizer_training"
    MODEL_TRAINING = "model_training"
    VALIDATION = "validation"
    COMPLETE = "complete"
    FAILED = "failed"


ORDER = (
    Phase.PREREQUISITE_CHECK,
    Phase.CORPUS_DOWNLOAD,
    Phase.TOKENIZER_TRAINING,
    Phase.MODEL_TRAINING,
    Phase.VALIDATION,
    Phase.COMPLETE,
)
WORKING = ORDER[:-1]


class ErrorDetails(BoundaryModel):
    """Why a pipeline failed. `error_type` groups codes: disk_space, network, oom, validation_failure, other."""

    failed_phase: Phase
    error_type: str
    error_message: str
    stderr_output: str = Field("", description=f"the last {STDERR_LINES_KEPT} lines")
    code: str = ErrorCode.INTERNAL
    remedy: str = ""


class PipelineStatus(BoundaryModel):
    """Execution state of one pipeline; `phase_timings` in seconds, times in UTC."""

    pipeline_id: uuid.UUID = Field(default_factory=uuid.uuid4)
    run_id: str
    start_time: datetime = Field(default_factory=lambda: datetime.now(UTC))
    end_time: datetime | None = None
    current_phase: Phase = Phase.PREREQUISITE_CHECK
    completed_phases: list[Phase] = Field(default_factory=list)
    phase_timings: dict[Phase, float] = Field(default_factory=dict)
    artifacts_created: list[str] = Field(default_factory=list)
    error_details: ErrorDetails | None = None
    validation_results: ValidationResults | None = None
    progress: dict[str, JsonValue] = Field(default_factory=dict)
    message: str = ""
    replaced_by: str | None = Field(None, description="the run that was started instead of going on with this one")

    def advance(self, phase: Phase) -> None:
        """Finish the current phase and enter `phase`, which must be the next; InternalError otherwise."""
        if self.current_phase not in WORKING or ORDER[ORDER.index(self.current_phase) + 1] is not phase:
            raise self._forbidden(phase)
        if self.current_phase not in self.completed_phases:
            self.completed_phases = [*self.completed_phases, self.current_phase]
        self.current_phase = phase
        if phase is Phase.COMPLETE:
            self.end_time = datetime.now(UTC)

    def complete(self) -> None:
        """Finish what is left: a recipe need not have a stage in every phase."""
        while self.current_phase in WORKING:
            self.advance(ORDER[ORDER.index(self.current_phase) + 1])

    def fail(self, details: ErrorDetails) -> None:
        """Enter `failed` from any working phase."""
        if self.current_phase not in WORKING:
            raise self._forbidden(Phase.FAILED)
        self.error_details = details
        self.current_phase = Phase.FAILED
        self.message = details.error_message
        self.end_time = datetime.now(UTC)

    def reopen(self, phase: Phase) -> None:
        """Go on from `phase` when a run is resumed; the phases before it stay completed."""
        if phase not in WORKING:
            raise self._forbidden(phase)
        self.completed_phases = [done for done in ORDER[: ORDER.index(phase)] if done in self.completed_phases]
        self.current_phase = phase
        self.error_details = None
        self.end_time = None
        self.message = ""

    def _forbidden(self, phase: Phase) -> InternalError:
        return InternalError(
            ErrorCode.INVALID_STATE,
            f"a pipeline in phase {self.current_phase} cannot go to {phase}",
            "report this as a bug, with the run's status.json",
        )

    def save(self, run_directory: Path) -> None:
        """Write `status.json`, whole or not at all."""
        write_text(run_directory / STATUS_NAME, self.model_dump_json(indent=2) + "\n")


def load_status(run_directory: Path) -> PipelineStatus:
    """Read `status.json`; DataError(RUN_NOT_FOUND or CORRUPTION) when it is absent or damaged."""
    path = run_directory / STATUS_NAME
    try:
        return PipelineStatus.model_validate_json(read_plain(path))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(
            ErrorCode.RUN_NOT_FOUND,
            f"{run_directory} is not a run: it has no {STATUS_NAME}",
            "list the runs with: loquela runs list",
            details={"path": str(run_directory)},
        ) from error
    except (OSError, ValidationError) as error:
        raise DataError(
            ErrorCode.CORRUPTION,
            f"{path} cannot be read as a pipeline status",
            "delete that file's folder, or restore the file; checkpoints inside stay usable with --resume PATH",
            details={"path": str(path)},
        ) from error
