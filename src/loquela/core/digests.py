"""SHA-256 of files and of JSON values: how Loquela knows that something is still what it was."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import JsonValue


def digest_bytes(data: bytes) -> str:
    """SHA-256 of `data`, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 of the file at `path`, in hexadecimal, read in constant memory."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_json(value: JsonValue) -> str:
    """SHA-256 of the canonical JSON of `value` (sorted keys, no spaces, no NaN)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return digest_bytes(text.encode("utf-8"))
