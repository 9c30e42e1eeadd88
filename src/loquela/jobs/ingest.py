"""A run's append-only files taken into SQL, each line once: its place is written in the transaction that takes it.

metrics.jsonl ─▶ metric_points        events.jsonl ─▶ events (the frequent ones stay in the file)

A training that goes on from a checkpoint cuts its metrics back. Then what was taken before is no longer a beginning of
the file, and the run's points are taken anew, all at once.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import JsonValue, ValidationError
from sqlalchemy import Column, Connection, String, delete, insert, select, update

from loquela.core.plain_files import open_plain
from loquela.jobs.clock import Clock
from loquela.jobs.database import Database
from loquela.jobs.event_log import append_event
from loquela.jobs.rollups import forget_rollups, roll_up
from loquela.jobs.tables import events, ingested, metric_points
from loquela.monitoring.events import Event
from loquela.monitoring.logs import FREQUENT

METRICS, EVENTS = "metrics.jsonl", "events.jsonl"
# One transaction takes at most this much, so that nobody waits long for the database.
CHUNK_BYTES = 4 * 2**20
LARGEST_STEP = 2**53
# Enough of the taken beginning to tell it from another.
PREFIX_BYTES = 4096
FLAGS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


@dataclass(frozen=True)
class _Taken:
    """How far a file was taken, and what stood before that place."""

    offset: int = 0
    prefix_digest: str = ""


@dataclass(frozen=True)
class _Place:
    """Whose files they are (a run's or a job's), and what their lines are about."""

    owner: str
    run_id: str
    job_id: str


class Ingester:
    """Takes what is new; any process may, at any time, and two at once take nothing twice."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def take(self, run_id: str, job_id: str, folder: Path) -> int:
        """Take all whole lines of a run that were not taken yet; how many there were."""
        place = _Place(run_id, run_id, job_id)
        return self._take_all(place, folder / METRICS) + self._take_all(place, folder / EVENTS)

    def take_events(self, run_id: str, job_id: str, folder: Path) -> int:
        """The same for a job on a run, whose events lie in a folder of its own."""
        return self._take_all(_Place(job_id, run_id, job_id), folder / EVENTS)

    def _take_all(self, place: _Place, path: Path) -> int:
        lines = 0
        while taken := self._take_chunk(place, path):
            lines += taken
        return lines

    def _take_chunk(self, place: _Place, path: Path) -> int:
        try:
            stream = open_plain(path)
        except OSError:
            return 0
        with stream, self._database.write() as connection:
            before = self._place(connection, place.owner, path.name)
            if before.offset and _prefix(stream, before.offset) != before.prefix_digest:
                self._forget(connection, place.run_id, path.name)
                before = _Taken()
            stream.seek(before.offset)
            held = stream.read(CHUNK_BYTES)
            whole = held[: held.rfind(b"\n") + 1]
            if not whole:
                return 0
            taken = self._write(connection, place.run_id, place.job_id, path.name, whole)
            offset = before.offset + len(whole)
            self._note(connection, place.owner, path.name, _Taken(offset, _prefix(stream, offset)))
            return taken

    def _place(self, connection: Connection, run_id: str, name: str) -> _Taken:
        where = (ingested.c.run_id == run_id) & (ingested.c.file == name)
        # On PostgreSQL a second one waits here until the first has written.
        row = connection.execute(select(ingested).where(where).with_for_update()).one_or_none()
        if row is None:
            values = {"run_id": run_id, "file": name, "offset": 0, "prefix_digest": ""}
            connection.execute(insert(ingested).values(**values))
            return _Taken()
        return _Taken(int(row.offset), str(row.prefix_digest))

    def _note(self, connection: Connection, run_id: str, name: str, taken: _Taken) -> None:
        where = (ingested.c.run_id == run_id) & (ingested.c.file == name)
        values = {"offset": taken.offset, "prefix_digest": taken.prefix_digest}
        connection.execute(update(ingested).where(where).values(**values))

    def _forget(self, connection: Connection, run_id: str, name: str) -> None:
        """Events are never taken back: those that are there already are known by their id."""
        if name == METRICS:
            connection.execute(delete(metric_points).where(metric_points.c.run_id == run_id))
            forget_rollups(connection, run_id)

    def _write(self, connection: Connection, run_id: str, job_id: str, name: str, whole: bytes) -> int:
        lines = whole.split(b"\n")[:-1]
        if name == METRICS:
            return self._write_points(connection, run_id, lines)
        return self._write_events(connection, run_id, job_id, lines)

    def _write_points(self, connection: Connection, run_id: str, lines: list[bytes]) -> int:
        now = self._clock.now()
        rows: dict[tuple[str, int], dict[str, object]] = {}
        for line in lines:
            for key, step, value, flag in points_of(line):
                point = {"run_id": run_id, "key": key, "step": step, "at": now, "value": value, "flag": flag}
                rows[key, step] = point
        if rows:
            self._replace(connection, run_id, rows)
            connection.execute(insert(metric_points), list(rows.values()))
            roll_up(connection, run_id, rows)
        return len(lines)

    def _replace(self, connection: Connection, run_id: str, rows: dict[tuple[str, int], dict[str, object]]) -> None:
        """A step that is told twice (validation beside training) has its last value."""
        first = min(step for _, step in rows)
        there = connection.execute(
            select(metric_points.c.key, metric_points.c.step).where(
                (metric_points.c.run_id == run_id) & (metric_points.c.step >= first)
            )
        ).all()
        for key, step in there:
            if (key, step) in rows:
                connection.execute(
                    delete(metric_points).where(
                        (metric_points.c.run_id == run_id)
                        & (metric_points.c.key == key)
                        & (metric_points.c.step == step)
                    )
                )

    def _write_events(self, connection: Connection, run_id: str, job_id: str, lines: list[bytes]) -> int:
        found: dict[str, Event] = {}
        for line in lines:
            try:
                event = Event.model_validate_json(line)
            except ValidationError:
                continue
            if not event.name.endswith(FREQUENT) and fits(event.id, events.c.id) and fits(event.name, events.c.name):
                found[event.id] = event
        known = set()
        ids = list(found)
        for start in range(0, len(ids), 500):
            query = select(events.c.id).where(events.c.id.in_(ids[start : start + 500]))
            known |= {str(row.id) for row in connection.execute(query)}
        for event in found.values():
            if event.id in known:
                continue
            append_event(
                connection,
                event.name,
                at=event.time.timestamp(),
                job_id=job_id,
                run_id=run_id,
                level="error" if event.name.endswith((".failed.v1", ".error.v1")) else "info",
                message=str(event.data.get("message", "")).replace("\0", ""),
                data=event.data,
                event_id=event.id,
            )
        return len(lines)


def points_of(line: bytes) -> Iterator[tuple[str, int, float | None, str | None]]:
    """(metric, step, value, flag) of one line; a number that is none has no value but a flag. Nothing of a bad line."""
    try:
        record: JsonValue = json.loads(line)
    except (ValueError, RecursionError):
        return
    step = record.get("step") if isinstance(record, dict) else None
    if not isinstance(record, dict) or not isinstance(step, int) or not 0 <= step <= LARGEST_STEP:
        return
    odd = record.get("not_finite")
    flags = odd if isinstance(odd, dict) else {}
    for key, value in record.items():
        if not fits(key, metric_points.c.key):
            continue
        if key in flags:
            yield key, step, None, FLAGS.get(str(flags[key]), "NaN")
        elif key != "step" and isinstance(value, int | float) and not isinstance(value, bool):
            number = _number(value)
            if number is not None:
                yield key, step, number, None


def fits(text: str, column: Column[str]) -> bool:
    """Whether every database can hold `text` in `column`: a file may have been edited by hand."""
    length = column.type.length if isinstance(column.type, String) else None
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in text and (length is None or len(text) <= length)


def _number(value: int | float) -> float | None:
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _prefix(stream: BinaryIO, offset: int) -> str:
    """A digest of the beginning and of what stands just before `offset`."""
    stream.seek(0)
    first = stream.read(min(PREFIX_BYTES, offset))
    stream.seek(max(0, offset - PREFIX_BYTES))
    last = stream.read(min(PREFIX_BYTES, offset))
    return hashlib.sha256(first + b"\0" + last).hexdigest()
