"""Which models are warm: opened when they are first asked for, closed when others are wanted or nobody asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pydantic import JsonValue

from loquela.core.errors import ErrorCode, ResourceError
from loquela.service.inference.engine_handle import EngineHandle, Message
from loquela.service.told.interactions import Interactions

MOST_MODELS = 2
IDLE_SECONDS = 600.0
WAIT_SECONDS = 120.0


class EnginePool:
    """At most so many models at once; a model answers one request at a time, others wait their turn."""

    def __init__(
        self, most: int = MOST_MODELS, idle_seconds: float = IDLE_SECONDS, interactions: Interactions | None = None
    ) -> None:
        self._interactions = interactions
        self._most = most
        self._idle_seconds = idle_seconds
        self._handles: dict[Path, EngineHandle] = {}
        self._opening = threading.Lock()
        self._closed = False

    def ask(self, folder: Path, verb: str, request: dict[str, JsonValue]) -> Message:
        """The whole answer: what ends the stream, its pieces left out. Errors as `stream`."""
        last: Message = {}
        for message in self.stream(folder, verb, request):
            last = message
        return last

    def stream(self, folder: Path, verb: str, request: dict[str, JsonValue]) -> Generator[Message, None, None]:
        """Pieces as they are written, then the result.

        Raises what opening the model and answering raise; ResourceError: INSUFFICIENT_RESOURCES when the model is busy
        for too long, WORKER_CRASH when its process died.
        """
        with self._held(folder) as handle:
            answered = handle.ask(verb, request)
            if self._interactions is not None:
                answered = self._interactions.told(folder, verb, request, answered)
            with closing(answered):
                yield from answered

    def close_idle(self) -> None:
        """Give back the memory of models that nobody asked for a while."""
        with self._opening:
            now = time.monotonic()
            for handle in list(self._handles.values()):
                if now - handle.used_at > self._idle_seconds and handle.lock.acquire(blocking=False):
                    self._drop(handle)
                    handle.lock.release()

    def close(self) -> None:
        """End all processes."""
        with self._opening:
            self._closed = True
            for handle in list(self._handles.values()):
                self._drop(handle)

    @contextmanager
    def _held(self, folder: Path) -> Iterator[EngineHandle]:
        until = time.monotonic() + WAIT_SECONDS
        while True:
            handle = self._handle(folder, until)
            if not handle.lock.acquire(timeout=max(0.0, until - time.monotonic())):
                raise _busy(folder)
            if self._handles.get(folder) is handle:
                break
            # It was closed for another model while we waited for our turn.
            handle.lock.release()
        try:
            yield handle
        finally:
            handle.lock.release()
            if not handle.alive:
                with self._opening:
                    self._drop(handle)

    def _handle(self, folder: Path, until: float) -> EngineHandle:
        with self._opening:
            if self._closed:
                raise _busy(folder)
            handle = self._handles.get(folder)
            if handle is not None and handle.alive:
                return handle
            if handle is not None:
                self._drop(handle)
            while len(self._handles) >= self._most:
                self._make_room(folder, until)
            made = EngineHandle(folder)
            self._handles[folder] = made
            return made

    def _make_room(self, folder: Path, until: float) -> None:
        """Close the model that was not asked for longest, as soon as it is not writing."""
        oldest = min(self._handles.values(), key=lambda handle: handle.used_at)
        if not oldest.lock.acquire(timeout=max(0.0, until - time.monotonic())):
            raise _busy(folder)
        try:
            self._drop(oldest)
        finally:
            oldest.lock.release()

    def _drop(self, handle: EngineHandle) -> None:
        self._handles.pop(handle.folder, None)
        handle.close()


def _busy(folder: Path) -> ResourceError:
    return ResourceError(
        ErrorCode.INSUFFICIENT_RESOURCES,
        f"the model in {folder.name} is busy",
        "ask again later",
        retryable=True,
    )
