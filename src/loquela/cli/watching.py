"""The events of a run as they are written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from loquela.monitoring.events import Event
from loquela.runs.lock import is_locked

POLL_SECONDS = 0.3
EVENTS_NAME = "events.jsonl"


def follow(run_directory: Path) -> Iterator[Event]:
    """Every event so far, then each new one, until no process works on the run any more.

    A line that is no event (cut by a crash) is left out.
    """
    path = run_directory / EVENTS_NAME
    position, rest = 0, b""
    while True:
        # Asked before reading: what the last writer wrote before it let go is then still read below.
        active = is_locked(run_directory)
        data = _read_from(path, position)
        position += len(data)
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            event = _event(line)
            if event is not None:
                yield event
        if not active and not data:
            return
        if not data:
            time.sleep(POLL_SECONDS)


def _read_from(path: Path, position: int) -> bytes:
    try:
        with path.open("rb") as stream:
            stream.seek(position)
            return stream.read()
    except FileNotFoundError:
        return b""


def _event(line: bytes) -> Event | None:
    try:
        return Event.model_validate_json(line)
    except ValidationError:
        return None
