"""The last word on a run whose process was killed: a small process beside it that tells, where the run no longer can.

It waits, with next to nothing loaded, until the run says that it has ended, or is gone. Only a machine that goes down
takes both.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loquela.monitoring.alerts.policy import AlertPolicy

ENDED = b"ended\n"
INPUT = 0
LOOK_EVERY_SECONDS = 1.0
LEAVE_SECONDS = 10.0
TELL_SECONDS = 120.0


class LastWord:
    """From the run's own process: begun at its start, not needed when it has ended by itself."""

    def __init__(self, policy: AlertPolicy, run_directory: Path) -> None:
        """Start it; OSError where no process can be started."""
        request = {"pid": os.getpid(), "run": str(run_directory.resolve()), "policy": policy.model_dump(mode="json")}
        # In a session of its own: what stops the run from a terminal does not stop this.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "loquela.runs.alerting.last_word"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )
        self._say(json.dumps(request).encode("utf-8") + b"\n")

    def not_needed(self) -> None:
        """The run has ended, and said so itself."""
        self._say(ENDED)
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _say(self, line: bytes) -> None:
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.write(line)


def main() -> None:
    """The process: what to do comes as the first line, that it need not be done as the second."""
    with os.fdopen(os.dup(INPUT), "rb", buffering=0) as unread:
        first = unread.readline()
    # Its own parent may be another by now: a run can be killed before this has begun.
    if first and _left_alone(json.loads(first)["pid"]):
        _tell(first)


def _left_alone(run_pid: int) -> bool:
    """Wait; whether the run's process is gone, and has not said that it ended.

    Processes that the run has started may hold its end of the pipe open after it: so its being the parent counts too.
    """
    while True:
        gone = os.getppid() != run_pid
        readable, _, _ = select.select([INPUT], [], [], 0 if gone else LOOK_EVERY_SECONDS)
        if readable:
            return os.read(INPUT, len(ENDED)) == b""
        if gone:
            return True


def _tell(first: bytes) -> None:
    from loquela.core.errors import ErrorCode
    from loquela.monitoring.alerts.observation import Observation
    from loquela.monitoring.alerts.policy import AlertPolicy
    from loquela.runs.alerting.policy import open_channels
    from loquela.runs.alerting.watch import Watch

    request = json.loads(first)
    policy = AlertPolicy.model_validate(request["policy"])
    watch = Watch(policy, open_channels(policy), Path(request["run"]))
    watch.see(Observation(kind="ended", outcome="failed", code=ErrorCode.WORKER_CRASH))
    watch.finish(TELL_SECONDS)


if __name__ == "__main__":
    main()
