"""What is watched, what is yet to be told, and how far the service's events were heard: one SQLite file.

News and the number of the event that they came from are written together; what is to be sent is written before it is
sent, under a name that Discord takes once only. So a bot that dies at any moment loses nothing and repeats nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from loquela.bot.news import News
from loquela.bot.records import Card, Line, Notice
from loquela.core.atomic import write_error
from loquela.core.errors import DataError, ErrorCode, LoquelaError, ResourceError

DATABASE, LOCK = "bot.db", "bot.lock"
MOST_LINES = 6
# Discord takes a nonce of 25 characters at most.
NONCE_BYTES = 10

_SCHEMA = """
CREATE TABLE IF NOT EXISTS position (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS cards (
    owner INTEGER NOT NULL, run_id TEXT NOT NULL, message INTEGER, nonce TEXT, made_at REAL NOT NULL DEFAULT 0,
    shown_at REAL NOT NULL DEFAULT 0, heard INTEGER NOT NULL DEFAULT 0, heard_at REAL NOT NULL DEFAULT 0,
    shown INTEGER NOT NULL DEFAULT 0, rests INTEGER NOT NULL DEFAULT 0, finished INTEGER NOT NULL DEFAULT 0,
    checkpoint INTEGER, stale_message INTEGER, lines TEXT NOT NULL DEFAULT '[]', PRIMARY KEY (owner, run_id));
CREATE TABLE IF NOT EXISTS notices (
    id INTEGER PRIMARY KEY AUTOINCREMENT, owner INTEGER NOT NULL, run_id TEXT NOT NULL, kind TEXT NOT NULL,
    text TEXT NOT NULL, at REAL NOT NULL, batch TEXT);
"""


class Store:
    """One bot's memory; a second bot on the same folder is refused."""

    def __init__(self, folder: Path) -> None:
        """Open, or make, the folder's database. Raises ResourceError(RUN_LOCKED) while another bot holds it."""
        self._lock = _locked(folder)
        try:
            os.close(os.open(folder / DATABASE, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600))
            self._database = sqlite3.connect(folder / DATABASE, isolation_level=None)
            self._database.row_factory = sqlite3.Row
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            os.close(self._lock)
            raise _broken(folder / DATABASE, error) from error
        self._path = folder / DATABASE

    def close(self) -> None:
        """Let another bot have the folder."""
        self._database.close()
        os.close(self._lock)

    def position(self) -> int | None:
        """The number of the last event that was heard; None before there was one."""
        row = self._database.execute("SELECT seq FROM position").fetchone()
        return int(row["seq"]) if row is not None else None

    def heard_up_to(self, seq: int) -> None:
        """Note that everything up to event `seq` was heard."""
        with self._writing() as database:
            _note_position(database, seq)

    def watch(self, owner: int, run_id: str) -> bool:
        """Begin to watch; False when the owner already does."""
        with self._writing() as database:
            made = database.execute("INSERT OR IGNORE INTO cards (owner, run_id) VALUES (?, ?)", (owner, run_id))
            return made.rowcount == 1

    def unwatch(self, owner: int, run_id: str) -> bool:
        """Stop; what was still to be told of it is not told. False when the owner did not watch it."""
        with self._writing() as database:
            database.execute("DELETE FROM notices WHERE owner = ? AND run_id = ?", (owner, run_id))
            return database.execute("DELETE FROM cards WHERE owner = ? AND run_id = ?", (owner, run_id)).rowcount == 1

    def heard(self, run_id: str, seq: int, news: News, at: float, *, checkpoint: int | None = None) -> list[int]:
        """News of a run, for all who watch it, with the event's number; who they are."""
        with self._writing() as database:
            _note_position(database, seq)
            rows = database.execute("SELECT * FROM cards WHERE run_id = ?", (run_id,)).fetchall()
            for row in rows:
                _add_line(database, _card(row), Line(at, news.text), checkpoint)
                if news.rings:
                    database.execute(
                        "INSERT INTO notices (owner, run_id, kind, text, at) VALUES (?, ?, ?, ?, ?)",
                        (row["owner"], run_id, news.kind, news.text, at),
                    )
            return [int(row["owner"]) for row in rows]

    def watched(self, run_id: str) -> bool:
        """Whether anybody watches the run."""
        return self._database.execute("SELECT 1 FROM cards WHERE run_id = ?", (run_id,)).fetchone() is not None

    def card(self, owner: int, run_id: str) -> Card | None:
        """What is known of a run that the owner watches."""
        row = self._database.execute("SELECT * FROM cards WHERE owner = ? AND run_id = ?", (owner, run_id)).fetchone()
        return _card(row) if row is not None else None

    def cards(self, owner: int) -> list[Card]:
        """Everything that the owner watches, in the order of asking."""
        rows = self._database.execute("SELECT * FROM cards WHERE owner = ? ORDER BY rowid", (owner,))
        return [_card(row) for row in rows]

    def name_message(self, card: Card) -> str:
        """The nonce under which the card's message is made; the same until there is one."""
        if card.nonce is not None:
            return card.nonce
        nonce = secrets.token_hex(NONCE_BYTES)
        self._change(card, nonce=nonce)
        return nonce

    def card_made(self, card: Card, message: int, at: float) -> None:
        """The card's message is there."""
        self._change(card, message=message, nonce=None, made_at=at)

    def card_shown(self, card: Card, at: float, *, rests: bool, finished: bool) -> None:
        """The message shows the news that `card` had when it was read; later ones are still to be shown."""
        self._change(card, shown=card.heard, shown_at=at, rests=int(rests), finished=int(finished))

    def card_lost(self, card: Card, *, delete: bool) -> None:
        """The message is gone, or too old to be changed: another one is to be made, and the old one deleted."""
        self._change(card, message=None, nonce=None, stale_message=card.message if delete else card.stale_message)

    def stale_deleted(self, card: Card) -> None:
        """The replaced message is gone."""
        self._change(card, stale_message=None)

    def notices(self, owner: int) -> list[Notice]:
        """What is to be sent to the owner, oldest first."""
        rows = self._database.execute("SELECT * FROM notices WHERE owner = ? ORDER BY id", (owner,))
        return [Notice(**dict(row)) for row in rows]

    def name_batch(self, notices: Sequence[Notice]) -> str:
        """Bind these notices to one message before it is sent; its nonce."""
        batch = secrets.token_hex(NONCE_BYTES)
        with self._writing() as database:
            database.executemany("UPDATE notices SET batch = ? WHERE id = ?", [(batch, one.id) for one in notices])
        return batch

    def sent(self, batch: str) -> None:
        """The message is with Discord."""
        with self._writing() as database:
            database.execute("DELETE FROM notices WHERE batch = ?", (batch,))

    def _change(self, card: Card, **values: str | float | None) -> None:
        columns = ", ".join(f"{name} = ?" for name in values)
        with self._writing() as database:
            database.execute(
                f"UPDATE cards SET {columns} WHERE owner = ? AND run_id = ?",  # noqa: S608 - names are our own
                (*values.values(), card.owner, card.run_id),
            )

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            finally:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise _broken(self._path, error) from error


def _add_line(database: sqlite3.Connection, card: Card, line: Line, checkpoint: int | None) -> None:
    lines = [*card.lines, line][-MOST_LINES:]
    database.execute(
        "UPDATE cards SET heard = heard + 1, heard_at = ?, lines = ?, checkpoint = ? WHERE owner = ? AND run_id = ?",
        (
            # The first unshown one says since when there is something to show.
            card.heard_at if card.heard > card.shown else line.at,
            json.dumps([[one.at, one.text] for one in lines]),
            checkpoint if checkpoint is not None else card.checkpoint,
            card.owner,
            card.run_id,
        ),
    )


def _note_position(database: sqlite3.Connection, seq: int) -> None:
    database.execute("INSERT INTO position VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET seq = excluded.seq", (seq,))


def _card(row: sqlite3.Row) -> Card:
    fields = dict(row)
    lines = tuple(Line(float(at), str(text)) for at, text in json.loads(fields.pop("lines")))
    fields |= {"rests": bool(fields["rests"]), "finished": bool(fields["finished"])}
    return Card(lines=lines, **fields)


def _locked(folder: Path) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise write_error(error, folder) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise ResourceError(
            ErrorCode.RUN_LOCKED,
            f"another bot already works with {folder}; two would tell everything twice",
            "stop that one, or give this one another folder: --data DIR",
        ) from error
    return descriptor


def _broken(path: Path, error: sqlite3.Error | OSError) -> LoquelaError:
    if isinstance(error, OSError):
        return write_error(error, path)
    code = getattr(error, "sqlite_errorname", "")
    if code == "SQLITE_FULL":
        return ResourceError(ErrorCode.DISK_FULL, f"no space left for {path}", "free some space there")
    if code in ("SQLITE_NOTADB", "SQLITE_CORRUPT"):
        return DataError(
            ErrorCode.CORRUPT_DATA,
            f"{path} is damaged: {error}",
            "move it away and start again; then watch your runs again (/watch)",
        )
    return ResourceError(ErrorCode.WRITE_FAILED, f"{path} cannot be used: {error}", "look at the disk and its rights")
