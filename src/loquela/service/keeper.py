"""What the service does by itself with finished runs: stores them, and cleans up where it may."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from loquela.core.errors import ErrorCode, LoquelaError
from loquela.jobs.archivist import Archivist
from loquela.jobs.cleanup import CleanUp
from loquela.jobs.settings import ServiceSettings
from loquela.jobs.turns import KEEPER, Turn

LOOK_EVERY_SECONDS = 1.0
LOOK_AT_ALL_SECONDS, CLEAN_EVERY_SECONDS = 300.0, 600.0
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 2.0, 600.0


@dataclass
class _Trouble:
    """A run that could not be stored: why, and when it is tried again."""

    message: str
    wait_seconds: float
    again_at: float


class Keeper:
    """A thread of the API; of several processes on one data folder the one whose turn it is works, until it dies.

    What is to be done stands in the rows and the folders, so that it may be killed at any moment.
    """

    def __init__(self, settings: ServiceSettings, archivist: Archivist, clean_up: CleanUp) -> None:
        self._settings = settings
        self._archivist = archivist
        self._clean_up = clean_up
        self._seen = 0
        self._looked_at = float("-inf")
        self._cleaned_at = float("-inf")
        self._trouble: dict[str, _Trouble] = {}
        self._turn = Turn(settings.data, KEEPER)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more; what is being stored is taken up again at the next start."""
        self._stop.set()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                try:
                    if self._turn.take():
                        self.look()
                except (LoquelaError, OSError):
                    # The database or the disk is away; the rows are still there when it is back, and are looked at
                    # anew.
                    self._looked_at = float("-inf")
                    self._stop.wait(FIRST_WAIT_SECONDS)
                self._stop.wait(LOOK_EVERY_SECONDS)
        finally:
            self._turn.leave()

    def look(self) -> None:
        """Store what is due since the last look, or is to be tried again; clean up now and then.

        Raises ResourceError(PERSISTENCE_FAILED) when the database is away.
        """
        if self._settings.archive_runs:
            self._store(self._due())
        if self._settings.cleanup_enabled and time.monotonic() - self._cleaned_at >= CLEAN_EVERY_SECONDS:
            self._cleaned_at = time.monotonic()
            self._clean_up.all(dry_run=self._settings.cleanup_dry_run)

    def _due(self) -> list[str]:
        """Runs to be stored now.

        Of all runs at the first look and now and then; else of those on which a job has just ended, or that are to be
        tried again.
        """
        rows = self._archivist.rows
        ended, self._seen = rows.ended_since(self._seen)
        for run_id in ended:
            self._trouble.pop(run_id, None)
        if time.monotonic() - self._looked_at >= LOOK_AT_ALL_SECONDS:
            found = rows.due()
            self._looked_at = time.monotonic()
            again = set(self._trouble)
        else:
            again = {run_id for run_id, each in self._trouble.items() if each.again_at <= time.monotonic()}
            found = rows.due(ended | again) if ended or again else []
        for run_id in again.difference(found):
            self._trouble.pop(run_id)
        return found

    def _store(self, due: list[str]) -> None:
        for run_id in due:
            trouble = self._trouble.get(run_id)
            waits = trouble is not None and trouble.again_at > time.monotonic()
            if self._stop.is_set() or waits or not self._archivist.run_folder(run_id).is_dir():
                continue
            try:
                self._archivist.store_run(run_id)
                self._trouble.pop(run_id, None)
            except LoquelaError as error:
                if error.code is ErrorCode.PERSISTENCE_FAILED:
                    raise
                self._put_off(run_id, error)

    def _put_off(self, run_id: str, error: LoquelaError) -> None:
        """Try it again later, each time later; say why, once for each reason, unless somebody only works on it."""
        before = self._trouble.get(run_id)
        wait = FIRST_WAIT_SECONDS if before is None else min(LONGEST_WAIT_SECONDS, before.wait_seconds * 2)
        self._trouble[run_id] = _Trouble(error.message, wait, time.monotonic() + wait)
        if error.code is not ErrorCode.RUN_LOCKED and (before is None or before.message != error.message):
            self._archivist.rows.failed(run_id, error.message)
