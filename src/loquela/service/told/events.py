"""A thread that writes the events of all jobs and runs into the service's log, each once."""

from __future__ import annotations

import fcntl
import os
import threading

from loquela.core.errors import LoquelaError
from loquela.jobs.event_log import EventLog
from loquela.jobs.records import StoredEvent
from loquela.monitoring.log_streams import Level
from loquela.monitoring.logs import FREQUENT
from loquela.service.numbers import worded_object
from loquela.service.told.streams import ServiceLog

LOOK_EVERY_SECONDS = 1.0
POSITION = ".told"
LEVELS: dict[str, Level] = {"info": "info", "warn": "warning", "error": "error"}


class EventLines:
    """Of several API processes the one that holds the lock writes; where it was is kept beside the logs."""

    def __init__(self, log: ServiceLog, events: EventLog) -> None:
        self._log, self._events = log, events
        # Where nobody has written before: what is said from now on.
        self._begin = events.last_seq()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="event-lines", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what there is, then no more."""
        self._stop.set()
        self._thread.join(timeout=15)

    def _run(self) -> None:
        descriptor = os.open(self._log.folder / POSITION, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not self._held(descriptor):
                if self._stop.wait(LOOK_EVERY_SECONDS):
                    return
            self._follow(descriptor)
        finally:
            os.close(descriptor)

    def _held(self, descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _follow(self, descriptor: int) -> None:
        kept = os.pread(descriptor, 32, 0)
        seq = int(kept) if kept.isdigit() else self._begin
        while True:
            # Asked before looking: what was said until then is still written.
            last = self._stop.is_set()
            try:
                seq = self._tell(seq, descriptor)
            except (LoquelaError, OSError):
                # The database or the disk is away; what happened meanwhile is written when it is back.
                pass
            if last:
                return
            self._stop.wait(LOOK_EVERY_SECONDS)

    def _tell(self, seq: int, descriptor: int) -> int:
        while found := self._events.after(seq):
            for event in found:
                if not event.name.endswith(FREQUENT) and not self._write(event):
                    return seq
                seq = event.seq
            os.pwrite(descriptor, f"{seq:<20}".encode().rstrip(), 0)
        return seq

    def _write(self, event: StoredEvent) -> bool:
        data = worded_object(event.data)
        return self._log.system(
            LEVELS[event.level],
            event.message or event.name,
            event=event.name,
            run_id=event.run_id,
            job_id=event.job_id if event.job_id != event.run_id else None,
            error_code=data.get("code") or data.get("error_code"),
            seq=event.seq,
            data=data,
        )
