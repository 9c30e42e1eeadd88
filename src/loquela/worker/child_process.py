"""The process of one job, in a group of its own: started, asked to stop, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from loquela.worker.folders import OUTPUT

ALLOWED_OUTPUT_BYTES = 16 * 2**20


class ChildProcess:
    """Runs `loquela.worker.child` for the folder of a job."""

    def __init__(self, folder: Path, *, grace_seconds: float) -> None:
        self.folder = folder
        self.grace_seconds = grace_seconds
        self._asked_at: float | None = None
        with (folder / OUTPUT).open("ab") as output:
            if output.tell() > ALLOWED_OUTPUT_BYTES:
                output.truncate(0)
            self._process = subprocess.Popen(  # noqa: S603 - our own module, no shell
                [sys.executable, "-m", "loquela.worker.child", str(folder), str(os.getpid()), str(grace_seconds)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # Its alerts are the service's, which watches it from outside.
                env={**os.environ, "LOQUELA_ALERTS_FILE": ""},
            )
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit code; None while it works. A process that was asked and does not stop is ended after its grace."""
        code = self._process.poll()
        if code is None and self._asked_at is not None and time.monotonic() - self._asked_at > self.grace_seconds:
            self.kill()
        return code

    def ask_to_stop(self) -> None:
        """SIGTERM: save and stop. Asking again changes nothing."""
        if self._asked_at is None:
            self._asked_at = time.monotonic()
            self._signal(signal.SIGTERM, whole_group=False)

    @property
    def asked(self) -> bool:
        """Whether it was asked to stop."""
        return self._asked_at is not None

    def kill(self) -> None:
        """End the whole group at once, and wait for it."""
        self._signal(signal.SIGKILL, whole_group=True)
        self._process.wait()

    def _signal(self, number: signal.Signals, *, whole_group: bool) -> None:
        try:
            if whole_group:
                os.killpg(self.pid, number)
            else:
                self._process.send_signal(number)
        except ProcessLookupError:
            pass  # it ended by itself meanwhile, which is what was wanted
