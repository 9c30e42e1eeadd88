"""Stores what runs have made, one run at a time; whoever kills it, the next one goes on where it stood."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Self

from loquela.artifacts.crash_points import crash_point
from loquela.artifacts.store.contract import ArtifactStore
from loquela.artifacts.store.opening import open_place
from loquela.core.errors import DataError, ErrorCode, LoquelaError
from loquela.jobs.artifacts import Artifact, Artifacts
from loquela.jobs.clock import Clock
from loquela.jobs.database import Database
from loquela.jobs.projects import InProject
from loquela.jobs.settings import ServiceSettings
from loquela.jobs.turns import STORING, beside_others
from loquela.runs.stored.local_copy import local_model_folder
from loquela.runs.stored.packing import store_run
from loquela.runs.stored.pointer import POINTER_NAME, Pointer, read_pointer, write_pointer


class Archivist(InProject):
    """Between run folders, the store and the table of what lies in it. Safe to have in several processes."""

    def __init__(self, settings: ServiceSettings, database: Database, clock: Clock) -> None:
        self.data = settings.data
        self.place = settings.artifact_place
        self.rows = Artifacts(database, clock, self.place.url or "")
        self._clock = clock
        # Opened when it is first needed, once for all projects.
        self._opened = cache(partial(open_place, self.place, self.data))
        self._signed = False

    @property
    def store(self) -> ArtifactStore:
        """The store in use; errors as `open_place`."""
        return self._opened()

    def within(self, project: str | None) -> Self:
        """The same for a caller of `project`; the store has no projects, rows say what of it is whose."""
        made = super().within(project)
        made.rows = self.rows.within(project)
        return made

    def run_folder(self, run_id: str) -> Path:
        """Where a run writes."""
        return self.data / "runs" / run_id

    def store_run(self, run_id: str) -> None:
        """Store a run as it is now: the tarballs, then the pointer, then rows and event.

        In this order a kill between them only means doing it again. Errors as `runs.stored.packing.store_run`.
        """
        as_of = self._clock.now()
        with beside_others(self.data, STORING):
            if not self._signed:
                self.store.sign(self.rows.mark())
                self._signed = True
            parts = store_run(self.run_folder(run_id), self.store, self.place, at=as_of)
            crash_point("before_rows")
            for sha256 in self.rows.add(run_id, parts, as_of=as_of):
                self.store.remove(sha256)

    def read(self, artifact: Artifact, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes of an artifact; DataError(DATA_NOT_FOUND) where it lies in another store than the one in use."""
        if artifact.store != self.rows.store:
            raise DataError(
                ErrorCode.DATA_NOT_FOUND,
                f"the {artifact.kind} {artifact.subject} lies in {artifact.store or 'the data folder'}, "
                "which is not the store in use",
                "set artifact_url back to that place to read it",
            )
        return self.store.read(artifact.sha256, start, end)

    def model_folder(self, run_id: str) -> Path:
        """The folder of a run with its model in it, brought back where it was cleaned, or is gone as a whole.

        Errors as `local_model_folder`.
        """
        folder = self.run_folder(run_id)
        if not folder.is_dir():
            pointer = self._pointer(run_id)
            if pointer is None:
                return folder
            folder.mkdir(parents=True, exist_ok=True)
            write_pointer(folder, pointer)
        return local_model_folder(folder)

    def is_here(self, run_id: str) -> bool:
        """Whether the run's folders are in the data folder, and not in the store only."""
        try:
            pointer = read_pointer(self.run_folder(run_id))
        except LoquelaError:
            return False
        return self.run_folder(run_id).is_dir() and not (pointer is not None and pointer.cleaned)

    def pointed(self) -> set[str]:
        """The digests that pointers beside the runs name; what a kill kept out of the rows is among them.

        DataError(CORRUPTION) where one cannot be read.
        """
        found = (read_pointer(path.parent) for path in (self.data / "runs").glob(f"*/{POINTER_NAME}"))
        return {pointer.file_id for pointer in found if pointer is not None}

    def _pointer(self, run_id: str) -> Pointer | None:
        for artifact in self.rows.of_run(run_id):
            if artifact.kind == "run" and artifact.store == self.rows.store:
                return Pointer(
                    run_id=run_id,
                    file_id=artifact.sha256,
                    size_bytes=artifact.size_bytes,
                    files=artifact.files,
                    store=self.place,
                    stored_at=artifact.verified_at,
                    cleaned=True,
                )
        return None
