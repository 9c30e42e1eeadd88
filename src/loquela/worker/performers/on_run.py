"""Work on a run that is there: alone on it, stopped when somebody asks, told to whoever follows."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from pydantic import JsonValue

from loquela.artifacts.manifest import verify
from loquela.core.errors import DataError, ErrorCode, Interrupted
from loquela.monitoring.events import EventBus, EventFile
from loquela.recipe.schema import Recipe
from loquela.runs.lock import RunLock
from loquela.runs.manifest import TrainingRunManifest, load_run_manifest
from loquela.runs.places import artifact_of
from loquela.runs.status import STATUS_NAME
from loquela.runs.stored.local_copy import local_model_folder
from loquela.worker.folders import JobRequest, job_folder

EVENTS_NAME = "events.jsonl"


@dataclass(frozen=True)
class OnRun:
    """A run and the job that works on it."""

    request: JobRequest
    folder: Path
    manifest: TrainingRunManifest
    bus: EventBus

    @property
    def recipe(self) -> Recipe:
        """The run's recipe, with this service's data folder in the place of the one that it was made in."""
        return self.manifest.recipe.model_copy(update={"output_directory": self.request.data})

    def made_by(self, stage: str) -> Path:
        """The folder of what `stage` made for the run, every file proven; DataError when it is absent or damaged."""
        place = artifact_of(self.folder, stage)
        verify(place)
        return place

    def inside(self, path: Path) -> JsonValue:
        """The name of a file below the run, as answers show it."""
        return path.relative_to(self.folder).as_posix()


@contextmanager
def on_run(request: JobRequest) -> Iterator[OnRun]:
    """The run of a job under its lock.

    Raises DataError (RUN_NOT_FOUND, CORRUPTION) where no run has begun or its manifest cannot be read,
    ResourceError(RUN_LOCKED) while another process works on it; what bringing a cleaned run back raises.
    """
    folder = begun_run(request)
    bus = EventBus(run_id=request.run_id)
    bus.subscribe(EventFile(job_folder(request.data, request.job_id) / EVENTS_NAME))
    with RunLock(folder):
        yield OnRun(request, folder, load_run_manifest(folder), bus)


def begun_run(request: JobRequest) -> Path:
    """The folder of the job's run, whole: brought back from the store where it was cleaned.

    Raises DataError(RUN_NOT_FOUND) where the run has not begun to write about itself, and as `local_model_folder`.
    """
    folder = request.data / "runs" / request.run_id
    if not (folder / STATUS_NAME).is_file():
        raise DataError(
            ErrorCode.RUN_NOT_FOUND,
            f"run {request.run_id} has written nothing yet",
            "let it train first: GET /runs/{run_id} says how far it is",
        )
    return local_model_folder(folder)


@contextmanager
def stopped_at_once() -> Iterator[None]:
    """For work that has nothing to save and leaves nothing half done: SIGTERM ends it where it is, as Interrupted."""

    def stop(number: int, frame: FrameType | None) -> None:
        # What no handler of errors on the way takes for a failure of its own.
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(
            ErrorCode.INTERRUPTED, "stopped before it was done; nothing was changed", "ask again"
        ) from None
    finally:
        signal.signal(signal.SIGTERM, before)
