"""This side of the reading process: starts it, asks it, waits no longer than allowed, and leaves none behind."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from typing import IO

from loquela.data.documents.contract import LoadReply, LoadRequest
from loquela.data.documents.reading_process import LENGTH_BYTES

END_SECONDS = 5.0
LAST_WORDS = 400
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "HF_HOME", "OMP_NUM_THREADS")
"""Of the environment, a parser of strangers' files needs these and PYTHON…, LC_…, DOCLING_…; no credentials."""


class ProcessDied(Exception):
    """The process ended in the middle of a document; the message says how."""


class ProcessTooSlow(Exception):
    """The process did not answer in time."""


class ReadingProcess:
    """One `reading_process`; not for use by several threads at once."""

    def __init__(self, memory_mb: int) -> None:
        self.memory_mb = memory_mb
        self._errors: IO[bytes] = tempfile.TemporaryFile()
        # -P: a file of the user's in the working directory must not stand in for a library.
        command = [sys.executable, "-P", "-m", "loquela.data.documents.reading_process", str(memory_mb)]
        # A session of its own: a Ctrl+C is for the program that asked, which then ends this one.
        self._process = subprocess.Popen(  # noqa: S603 (our own interpreter and module, no shell)
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=_environment(),
            start_new_session=True,
        )

    def ask(self, request: LoadRequest, timeout_seconds: float) -> LoadReply:
        """The reply to `request`; ProcessTooSlow or ProcessDied otherwise, after which the process is of no use."""
        deadline = time.monotonic() + timeout_seconds
        stdin = self._process.stdin
        if stdin is None:
            raise ProcessDied("it has no input")
        try:
            stdin.write(request.model_dump_json().encode("utf-8") + b"\n")
            stdin.flush()
        except BrokenPipeError as error:
            raise self._death() from error
        size = int.from_bytes(self._receive(LENGTH_BYTES, deadline), "big")
        return LoadReply.model_validate_json(self._receive(size, deadline))

    def has_ended(self) -> bool:
        """Whether somebody else ended it while it was idle."""
        return self._process.poll() is not None

    def close(self) -> None:
        """End it, at once when it is busy."""
        self._process.kill()
        self._process.wait(END_SECONDS)
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                _close_quietly(stream)

    def _receive(self, size: int, deadline: float) -> bytes:
        stdout = self._process.stdout
        if stdout is None:
            raise ProcessDied("it has no output")
        received = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while len(received) < size:
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise ProcessTooSlow
                piece = os.read(stdout.fileno(), min(1 << 20, size - len(received)))
                if not piece:
                    raise self._death()
                received += piece
        return bytes(received)

    def _death(self) -> ProcessDied | ProcessTooSlow:
        code = self._process.wait(END_SECONDS)
        if -code in (signal.SIGXCPU, signal.SIGALRM):
            return ProcessTooSlow()
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        self._errors.seek(0)
        words = self._errors.read()[-LAST_WORDS:].decode("utf-8", "replace").strip().splitlines()
        return ProcessDied(f"{how}; {words[-1]}" if words else how)


def _environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name in PASSED_ON or name.startswith(("PYTHON", "LC_", "DOCLING_"))
    }


def _close_quietly(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except BrokenPipeError:
        # What was not yet sent to a process that is gone is of no use to anybody.
        return
