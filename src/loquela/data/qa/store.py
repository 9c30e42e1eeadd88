"""Every request and its answer in one SQLite file, so that nothing is paid for twice.

A row goes pending ─▶ sent ─▶ ok or failed; `sent` is on disk before a call is made and `ok` as soon as it is
answered. What a killed process leaves as `sent` is asked again, and its worst case stays in the sum: whether the
provider charged for it cannot be known. So at most the calls under way at the kill (`qa.concurrency` of them, or one
batch whose id was not yet known) are made twice.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from loquela.core.atomic import write_error
from loquela.core.errors import DataError, ErrorCode, ResourceError
from loquela.data.qa.providers.contract import Completion, FailureKind, Request, Usage

STORE_NAME = "requests.sqlite"
LOCK_NAME = "requests.lock"
FORMAT_VERSION = 1

State = Literal["pending", "sent", "ok", "failed"]

_TABLES = """
CREATE TABLE IF NOT EXISTS requests (
    key TEXT PRIMARY KEY, state TEXT NOT NULL, purpose TEXT NOT NULL, endpoint TEXT NOT NULL, model TEXT NOT NULL,
    prompt_version TEXT NOT NULL, chunk_digest TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    worst_usd REAL NOT NULL DEFAULT 0, cost_usd REAL NOT NULL DEFAULT 0, in_doubt_usd REAL NOT NULL DEFAULT 0,
    answer TEXT, stop TEXT, usage TEXT, failure TEXT, batch TEXT, task TEXT, changed TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS requests_by_batch ON requests (batch) WHERE batch IS NOT NULL;
"""


@dataclass(frozen=True)
class Stored:
    """One row: the answer where there is one, and what it cost in US dollars."""

    key: str
    state: State
    attempts: int
    cost_usd: float
    completion: Completion | None
    failure: FailureKind | None
    batch: str | None


class RequestStore:
    """The requests of all runs below one output directory; held by one process at a time.

    `task` names what is being made, so that the money spent on it adds up over interrupted runs.
    """

    def __init__(self, connection: sqlite3.Connection, task: str) -> None:
        self._connection = connection
        self._task = task

    def spent_before(self) -> tuple[float, float]:
        """US dollars that earlier runs of this task spent, and those that they may have spent besides."""
        row = self._connection.execute(
            "SELECT TOTAL(cost_usd), TOTAL(in_doubt_usd) FROM requests WHERE task = ?", (self._task,)
        ).fetchone()
        return float(row[0]), float(row[1])

    def recover(self) -> int:
        """Set back what a killed process left as sent, its worst case in doubt; how many there were."""
        with self._connection:
            return self._connection.execute(
                "UPDATE requests SET state = 'pending', in_doubt_usd = in_doubt_usd + worst_usd, worst_usd = 0 "
                "WHERE state = 'sent' AND batch IS NULL"
            ).rowcount

    def find(self, key: str) -> Stored | None:
        """The row of a request; None when it was never made."""
        row = self._connection.execute(
            "SELECT key, state, attempts, cost_usd, answer, stop, usage, failure, batch FROM requests WHERE key = ?",
            (key,),
        ).fetchone()
        return None if row is None else _stored(row)

    def add(self, request: Request) -> None:
        """Enter a request as pending; nothing changes when it is there already."""
        with self._connection:
            self._connection.execute(
                "INSERT INTO requests (key, state, purpose, endpoint, model, prompt_version, chunk_digest, changed) "
                "VALUES (?, 'pending', ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
                (
                    request.key,
                    request.purpose,
                    request.endpoint,
                    request.model,
                    request.prompt_version,
                    request.chunk_digest,
                    _now(),
                ),
            )

    def sent(self, keys: Iterable[tuple[str, float]]) -> None:
        """About to be sent: on disk when this returns. Pairs of key and worst case in US dollars."""
        with self._connection:
            self._connection.executemany(
                "UPDATE requests SET state = 'sent', attempts = attempts + 1, worst_usd = ?, task = ?, changed = ? "
                "WHERE key = ?",
                [(worst, self._task, _now(), key) for key, worst in keys],
            )

    def in_batch(self, keys: Iterable[str], batch: str) -> None:
        """The batch that holds these requests was taken under this id."""
        with self._connection:
            self._connection.executemany(
                "UPDATE requests SET batch = ?, changed = ? WHERE key = ?", [(batch, _now(), key) for key in keys]
            )

    def answered(self, key: str, completion: Completion, cost_usd: float) -> None:
        """Keep an answer and what it cost."""
        usage = None if completion.usage is None else json.dumps(asdict(completion.usage))
        with self._connection:
            self._connection.execute(
                "UPDATE requests SET state = 'ok', answer = ?, stop = ?, usage = ?, cost_usd = ?, worst_usd = 0, "
                "failure = NULL, changed = ? WHERE key = ?",
                (completion.text, completion.stop, usage, cost_usd, _now(), key),
            )

    def failed(self, key: str, failure: FailureKind, *, in_doubt_usd: float, final: bool) -> None:
        """A call without an answer: `final` when it is not tried again in this run."""
        with self._connection:
            self._connection.execute(
                "UPDATE requests SET state = ?, failure = ?, in_doubt_usd = in_doubt_usd + ?, worst_usd = 0, "
                "batch = NULL, changed = ? WHERE key = ?",
                ("failed" if final else "pending", failure, in_doubt_usd, _now(), key),
            )

    def open_batches(self, endpoint: str) -> dict[str, dict[str, float]]:
        """Batches at `endpoint` whose results were not read yet: id → keys of their requests with their worst case."""
        found: dict[str, dict[str, float]] = {}
        rows = self._connection.execute(
            "SELECT batch, key, worst_usd FROM requests "
            "WHERE batch IS NOT NULL AND state = 'sent' AND endpoint = ? ORDER BY batch, key",
            (endpoint,),
        )
        for batch, key, worst in rows:
            found.setdefault(str(batch), {})[str(key)] = float(worst)
        return found


def _stored(row: tuple[str | int | float | None, ...]) -> Stored:
    key, state, attempts, cost, answer, stop, usage, failure, batch = row
    completion = None
    if state == "ok":
        counted = None if usage is None else Usage(**json.loads(str(usage)))
        completion = Completion(str(answer), _STOPS[str(stop)], counted)
    return Stored(
        key=str(key),
        state=_STATES[str(state)],
        attempts=int(attempts or 0),
        cost_usd=float(cost or 0),
        completion=completion,
        failure=_FAILURES.get(str(failure)),
        batch=None if batch is None else str(batch),
    )


_STATES: dict[str, State] = {"pending": "pending", "sent": "sent", "ok": "ok", "failed": "failed"}
_STOPS: dict[str, Literal["end", "length", "refusal"]] = {"end": "end", "length": "length", "refusal": "refusal"}
_FAILURES: dict[str, FailureKind] = {
    "auth": "auth",
    "refused_request": "refused_request",
    "rate_limited": "rate_limited",
    "server": "server",
    "timeout": "timeout",
    "connection": "connection",
    "unreadable": "unreadable",
}


@contextmanager
def open_store(directory: Path, task: str) -> Iterator[RequestStore]:
    """The store in `directory`, locked for this process; what a killed one left is set back.

    Raises ResourceError (RUN_LOCKED while another process holds it, WRITE_FAILED, …) and DataError(CORRUPTION).
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise write_error(error, directory) from error
    try:
        _hold(lock, directory)
        path = directory / STORE_NAME
        with _told_as_ours(path):
            connection = sqlite3.connect(path)
            try:
                _prepare(connection, path)
                store = RequestStore(connection, task)
                store.recover()
                yield store
            finally:
                connection.close()
    finally:
        os.close(lock)


def _hold(lock: int, directory: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ResourceError(
            ErrorCode.RUN_LOCKED,
            f"another process is asking a model with the requests in {directory}",
            "wait until it is done, or give this one another output_directory",
            retryable=True,
            details={"path": str(directory)},
        ) from error


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    # An answer that was paid for must survive a power cut too.
    connection.execute("PRAGMA synchronous = FULL")
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version not in (0, FORMAT_VERSION):
        raise DataError(
            ErrorCode.CORRUPTION,
            f"{path} has format {version}; this Loquela reads {FORMAT_VERSION}",
            "update Loquela, or move the file away to ask (and pay) anew",
            details={"path": str(path), "format": version},
        )
    connection.executescript(_TABLES)
    connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")


@contextmanager
def _told_as_ours(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise ResourceError(
            ErrorCode.WRITE_FAILED,
            f"the requests in {path} cannot be read or written: {error}",
            "check the space and the permissions there; then run the same command again",
            details={"path": str(path)},
        ) from error
    except sqlite3.DatabaseError as error:
        raise DataError(
            ErrorCode.CORRUPTION,
            f"{path} is damaged: {error}",
            "move it away and run the same command again; what it held is asked, and paid for, anew",
            details={"path": str(path)},
        ) from error


def _now() -> str:
    return datetime.now(UTC).isoformat()
