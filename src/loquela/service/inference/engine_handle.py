"""The API's end of one engine process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path

from pydantic import JsonValue

from loquela.core.errors import (
    DataError,
    ErrorCode,
    InternalError,
    LoquelaError,
    ProofError,
    RecipeError,
    ResourceError,
)

Message = dict[str, JsonValue]
KINDS: dict[str, type[LoquelaError]] = {
    kind.__name__: kind for kind in (RecipeError, DataError, ResourceError, ProofError, InternalError)
}
END_SECONDS = 5.0


class EngineHandle:
    """One process, one request at a time; the process ends when this end is closed, or dies."""

    def __init__(self, folder: Path) -> None:
        """Start it and wait until the model is there; raises what opening it raises."""
        self.folder = folder
        self.used_at = time.monotonic()
        self.lock = threading.Lock()
        self._asked = 0
        self._died_once = False
        self._process = subprocess.Popen(  # noqa: S603 - our own module, no shell
            [sys.executable, "-m", "loquela.inference.engine_process", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        try:
            self._hear()
        except BaseException:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return not self._died_once and self._process.poll() is None

    def ask(self, verb: str, request: Message) -> Generator[Message, None, None]:
        """What it answers: pieces, then the result. A caller that goes away in between ends the writing.

        Raises the error that it met, ResourceError(WORKER_CRASH) when it died. Hold `lock` meanwhile.
        """
        self._asked += 1
        self._tell({"id": self._asked, "verb": verb, "request": request})
        ended = False
        try:
            while not ended:
                message = self._hear()
                ended = "result" in message
                yield message
        except LoquelaError:
            # It has said all that it will.
            ended = True
            raise
        finally:
            if not ended and self.alive:
                self._wind_up()
            self.used_at = time.monotonic()

    def close(self) -> None:
        """End the process; a second time does nothing."""
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                pass  # it is gone already
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _wind_up(self) -> None:
        """Tell it to stop writing, and hear it out, so that the next one to ask hears nothing of this."""
        try:
            self._tell({"cancel": self._asked})
            while "result" not in self._hear():
                pass
        except LoquelaError:
            return

    def _tell(self, message: Message) -> None:
        stream = self._process.stdin
        try:
            if stream is None or stream.closed:
                raise BrokenPipeError
            stream.write(json.dumps(message) + "\n")
            stream.flush()
        except BrokenPipeError as error:
            raise self._died() from error

    def _hear(self) -> Message:
        stream = self._process.stdout
        line = stream.readline() if stream is not None else ""
        if not line:
            raise self._died()
        message: Message = json.loads(line)
        error = message.get("error")
        if isinstance(error, dict):
            raise KINDS.get(str(error["kind"]), InternalError)(
                ErrorCode(str(error["code"])),
                str(error["message"]),
                str(error["remedy"]),
                retryable=error["retryable"] is True,
            )
        return message

    def _died(self) -> ResourceError:
        # The end of its output is seen before the end of the process is.
        self._died_once = True
        return ResourceError(
            ErrorCode.WORKER_CRASH,
            f"the process of the model in {self.folder.name} ended without a word; its memory may not have been enough",
            "ask again; if it ends again, serve a smaller model",
            retryable=True,
        )
