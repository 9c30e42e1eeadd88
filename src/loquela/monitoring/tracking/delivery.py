"""One tracker at work: a thread of its own behind a bounded queue, so that nothing it does can stop the training."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from pydantic import Field

from loquela.core.model import BoundaryModel
from loquela.monitoring.tracking.contract import Outcome, TrackedRun, Tracker

QUEUE_LENGTH = 10_000
# A tracker that fails this often in a row is left alone: each try may cost it a timeout.
FAILURES_IN_A_ROW = 20

Call = Callable[[], None]


class Delivered(BoundaryModel):
    """What became of everything that one tracker was to be told."""

    tracker: str
    place: str | None = Field(None, description="where the tracked run can be looked at; null: it could not be opened")
    delivered: int = Field(0, description="messages taken")
    failed: int = Field(0, description="messages that the tracker raised an error for")
    dropped: int = Field(0, description="messages that found the queue full, or the tracker given up")
    finished: bool = Field(False, description="whether it was closed in order")
    first_error: str | None = None

    @property
    def complete(self) -> bool:
        """Whether everything arrived."""
        return self.finished and not self.failed and not self.dropped

    def sentence(self) -> str:
        """What a person is told, on one line."""
        if self.complete:
            return f"{self.tracker}: {self.delivered} messages, {self.place}"
        if self.place is None and self.first_error is not None:
            return f"{self.tracker}: not opened, nothing tracked ({self.first_error})"
        lost = f"{self.failed} failed, {self.dropped} dropped" + ("" if self.finished else ", not closed in time")
        reason = f" ({self.first_error})" if self.first_error else ""
        return f"{self.tracker}: {self.delivered} messages, {lost}{reason}"


class Delivery:
    """Hands calls to `tracker` in order, from a thread of its own; `tell` and `finish` never raise and never wait."""

    def __init__(self, name: str, tracker: Tracker, run: TrackedRun, queue_length: int = QUEUE_LENGTH) -> None:
        self.tracker = tracker
        self.state = Delivered(tracker=name)
        self._queue: queue.Queue[Call | None] = queue.Queue(maxsize=queue_length)
        self._lock = threading.Lock()
        self._gone = False
        self._row = 0
        self._thread = threading.Thread(target=self._work, args=(run,), name=f"tracker-{name}", daemon=True)
        self._thread.start()

    def tell(self, call: Call) -> None:
        """Put one call into the queue; counted as dropped when there is no room."""
        try:
            self._queue.put_nowait(call)
        except queue.Full:
            self._count("dropped")

    def finish(self, outcome: Outcome) -> None:
        """Ask the tracker to deliver what is left and close."""

        def close() -> None:
            self.tracker.finish(outcome)
            self.state.finished = True

        # A full queue must not hide the end: the oldest message makes room for it.
        for last in (close, None):
            while True:
                try:
                    self._queue.put_nowait(last)
                    break
                except queue.Full:
                    self._take_one()

    def wait(self, seconds: float) -> Delivered:
        """What became of everything, after at most `seconds`; a copy that no thread changes any more."""
        self._thread.join(seconds)
        with self._lock:
            return self.state.model_copy()

    def _take_one(self) -> None:
        try:
            self._queue.get_nowait()
        except queue.Empty:
            return
        self._count("dropped")

    def _work(self, run: TrackedRun) -> None:
        def start() -> None:
            self.state.place = self.tracker.start(run)

        if not self._carry_out(start, counted=False):
            self._gone = True
        while (call := self._queue.get()) is not None:
            if self._gone:
                self._count("dropped")
            else:
                self._gone = not self._carry_out(call) and self._row >= FAILURES_IN_A_ROW

    def _carry_out(self, call: Call, *, counted: bool = True) -> bool:
        try:
            call()
        except Exception as error:  # whatever a stranger's library raises: counted, and told when the run ends
            with self._lock:
                self._row += 1
                self.state.failed += 1
                self.state.first_error = self.state.first_error or f"{type(error).__name__}: {error}"
            return False
        self._row = 0
        if counted:
            self._count("delivered")
        return True

    def _count(self, what: str) -> None:
        with self._lock:
            setattr(self.state, what, getattr(self.state, what) + 1)
