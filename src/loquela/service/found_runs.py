"""A thread that lets runs of the command line be seen beside those of the service."""

from __future__ import annotations

import threading

from loquela.core.errors import LoquelaError
from loquela.jobs.adopter import Adopter

LOOK_EVERY_SECONDS = 2.0


class FoundRuns:
    """Two at once do everything once: the rows decide."""

    def __init__(self, adopter: Adopter) -> None:
        self._adopter = adopter
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="found-runs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join(timeout=15)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._adopter.look()
            except (LoquelaError, OSError):
                # The database is away, or another process was a moment faster: everything is still there next time.
                pass
            self._stop.wait(LOOK_EVERY_SECONDS)
