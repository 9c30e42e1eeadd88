"""Records and lines that could not be used, set aside with their place and bytes so that none is lost."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

from loquela.core.atomic import append_line, write_error
from loquela.core.model import BoundaryModel

QUARANTINE_NAME = "quarantine.jsonl"
MOST_BYTES = 4096


class Quarantined(BoundaryModel):
    """One line of `quarantine.jsonl`; `bytes_base64` has the first 4096 bytes, `sha256` is of all of them."""

    object: str
    record: int
    start: int
    end: int
    reason: str
    sha256: str
    bytes_base64: str


class Quarantine:
    """Appends to `quarantine.jsonl` in `directory`; the file exists once something is in it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / QUARANTINE_NAME
        self.count = 0

    def put(
        self, name: str, record: int, start: int, end: int, reason: str, data: bytes, *, sha256: str | None = None
    ) -> None:
        """Set aside the bytes [start, end) of the object `name`; with `sha256`, `data` may be only their beginning.

        Raises ResourceError (DISK_FULL, WRITE_PERMISSION, WRITE_FAILED).
        """
        line = {
            "object": name,
            "record": record,
            "start": start,
            "end": end,
            "reason": reason,
            "sha256": sha256 or hashlib.sha256(data).hexdigest(),
            "bytes_base64": base64.b64encode(data[:MOST_BYTES]).decode("ascii"),
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(error, self.path) from error
        append_line(self.path, json.dumps(line, ensure_ascii=False))
        self.count += 1
