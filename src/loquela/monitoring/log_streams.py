"""Two streams of log lines: `system.log`, and `llm_interaction.log` for what goes into and comes out of models.

Several processes may write to the same folder. Secrets never get in, the places that are named stand as their
nicknames, and a line stays a line whatever is in it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from pydantic import JsonValue

from loquela.core.atomic import append_line, write_error
from loquela.core.redaction import redacted

Form = Literal["json", "text"]
Level = Literal["debug", "info", "warning", "error", "critical"]
Fields = dict[str, JsonValue]
LEVELS: tuple[Level, ...] = get_args(Level)
SYSTEM, INTERACTION = "system.log", "llm_interaction.log"
LOCK = ".lock"


class LogStreams:
    """Appends whole lines; a file that has become `largest_bytes` is kept as .1, .2, … up to `kept`.

    `places` are paths and what they are called in a line, e.g. {"/srv/data": "<data>"}; `writer` stands in every line
    of the JSON form: who writes it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        form: Form = "json",
        places: Mapping[str, str] | None = None,
        writer: Mapping[str, str] | None = None,
        largest_bytes: int = 0,
        kept: int = 5,
    ) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(error, folder) from error
        self.system_path, self.interaction_path = folder / SYSTEM, folder / INTERACTION
        self._form = form
        # The longest first: a place may lie in another.
        self._places = sorted((places or {}).items(), key=lambda place: len(place[0]), reverse=True)
        self._writer: Fields = {**(writer or {})}
        self._largest, self._kept = largest_bytes, kept

    def log_system(self, level: Level, message: str, context: Fields) -> str:
        """One line about the program; returns it."""
        return self._write(self.system_path, {"level": level, "message": message, "context": context})

    def log_llm_interaction(self, component: str, event: str, data: Fields) -> str:
        """One line about text that went into or came out of a model."""
        return self._write(self.interaction_path, {"component": component, "event": event, "data": data})

    def _write(self, path: Path, fields: Fields) -> str:
        told: Fields = {"timestamp": datetime.now(UTC).isoformat(), **self._writer, **fields}
        safe = redacted(told)
        line = json.dumps(safe, ensure_ascii=False) if self._form == "json" else _text(safe)
        for place, name in self._places:
            line = line.replace(place, name)
        if self._largest:
            with self._turned(path):
                append_line(path, line)
        else:
            append_line(path, line)
        return line

    def _turned(self, path: Path) -> _Turn:
        return _Turn(path, self._largest, self._kept)


class _Turn:
    """Holds the folder's lock while a line is written, so that no other process turns the file over meanwhile."""

    def __init__(self, path: Path, largest_bytes: int, kept: int) -> None:
        self._path, self._largest, self._kept = path, largest_bytes, kept

    def __enter__(self) -> None:
        self._descriptor = os.open(self._path.parent / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        if self._path.exists() and self._path.stat().st_size >= self._largest:
            for number in range(self._kept - 1, 0, -1):
                older = self._path.with_name(f"{self._path.name}.{number}")
                if older.exists():
                    older.replace(self._path.with_name(f"{self._path.name}.{number + 1}"))
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))

    def __exit__(self, *error: object) -> None:
        os.close(self._descriptor)


def _text(value: JsonValue) -> str:
    """A line for people: time, level or component, message, then name=value."""
    fields = value if isinstance(value, dict) else {}
    more = next((part for part in (fields.get("context"), fields.get("data")) if isinstance(part, dict)), {})
    head = [str(fields[name]) for name in ("timestamp", "level", "component", "message", "event") if fields.get(name)]
    tail = [
        f"{name}={json.dumps(each, ensure_ascii=False)}" for name, each in more.items() if each not in (None, "", {})
    ]
    return " ".join([*(_one_line(part) for part in head), *tail])


def _one_line(text: str) -> str:
    """Control characters written out: neither a second line nor a terminal's colours can be forged."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
