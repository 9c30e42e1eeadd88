"""A file-like thing in a source, wherever it lies: on disk, in a bucket, inside an archive, behind an address."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True)
class SourceObject:
    """Bytes that can be opened again.

    `name` is unique within the recipe and is what lineage and messages show ("s3://bucket/a.jsonl.gz",
    "books.zip!/alice.txt"). `open_at(offset)` opens the bytes, already decompressed, from `offset` on. `size_bytes` is
    the size of what `open_at(0)` yields, None where it is not known beforehand. `path` is set where the bytes are a
    plain local file; `media_type` and `encoding` are what the place declares, not what was found out. `cheap_offsets`
    tells whether opening in the middle costs no more than opening at the start; of what is unpacked it does.
    """

    name: str
    open_at: Callable[[int], AbstractContextManager[BinaryIO]]
    size_bytes: int | None = None
    path: Path | None = None
    media_type: str | None = None
    encoding: str | None = None
    cheap_offsets: bool = True
