"""The workers beside the API: processes of their own, started again when they die, ended with it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LOOK_EVERY_SECONDS = 0.5
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 30.0
# One that lived for so long had started well: what killed it came from outside, and it is not waited for.
LONG_LIFE_SECONDS = 10.0


@dataclass
class _Place:
    """One worker: its process, and how long to wait when it dies again at once."""

    process: subprocess.Popen[bytes]
    started_at: float
    wait_seconds: float = FIRST_WAIT_SECONDS
    start_again_at: float | None = None


class WorkerProcesses:
    """Keeps `count` workers alive; `command` is what starts one."""

    def __init__(self, command: Sequence[str], count: int, environment: Mapping[str, str]) -> None:
        self._command = [*command, "--parent", str(os.getpid())]
        self._environment = dict(environment)
        self._stopping = threading.Event()
        # The thread that starts them must live as long as they do: the kernel ties their end to it.
        self._thread = threading.Thread(target=self._keep, args=(count,), name="workers", daemon=True)
        self._thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """Ask all to save and stop, wait, and end those that do not."""
        self._stopping.set()
        self._thread.join(timeout_seconds)

    def _keep(self, count: int) -> None:
        places = [self._start() for _ in range(count)]
        while not self._stopping.wait(LOOK_EVERY_SECONDS):
            for index, place in enumerate(places):
                places[index] = self._looked_after(place)
        for place in places:
            if place.process.poll() is None:
                place.process.terminate()
        for place in places:
            place.process.wait()

    def _looked_after(self, place: _Place) -> _Place:
        if place.process.poll() is None:
            return place
        now = time.monotonic()
        if place.start_again_at is None:
            lived_long = now - place.started_at > LONG_LIFE_SECONDS
            place.wait_seconds = FIRST_WAIT_SECONDS if lived_long else place.wait_seconds
            place.start_again_at = now + place.wait_seconds
            return place
        if now < place.start_again_at:
            return place
        return self._start(min(LONGEST_WAIT_SECONDS, place.wait_seconds * 2))

    def _start(self, wait_seconds: float = FIRST_WAIT_SECONDS) -> _Place:
        process = subprocess.Popen(  # noqa: S603 - our own program, no shell
            self._command, stdin=subprocess.DEVNULL, env=self._environment
        )
        return _Place(process, time.monotonic(), wait_seconds)


def worker_command() -> list[str]:
    """What starts a worker with the settings of the environment."""
    return [sys.executable, "-m", "loquela", "worker"]
