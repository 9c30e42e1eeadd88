"""A WARC file → its records, each with its place; damage names the byte."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from loquela.core.errors import DataError, ErrorCode

VERSION = b"WARC/"
MOST_HEADER_BYTES = 1 << 18
MOST_LINE_BYTES = 1 << 16
# A page of more is no text that anybody wrote; the block is passed over unread.
MOST_BLOCK_BYTES = 64 << 20
SKIP_BYTES = 1 << 20


@dataclass(frozen=True)
class WarcRecord:
    """`headers` have lower-case names; [start, end) are its bytes in the (unpacked) file, `sha256` is theirs.

    `block` is None for a record whose block is larger than `MOST_BLOCK_BYTES`.
    """

    number: int
    start: int
    end: int
    headers: Mapping[str, str]
    block: bytes | None
    sha256: str

    @property
    def kind(self) -> str:
        """warcinfo, request, response, metadata, revisit, conversion or resource."""
        return self.headers.get("warc-type", "").lower()

    @property
    def url(self) -> str | None:
        """What was fetched."""
        found = self.headers.get("warc-target-uri", "").strip("<> ")
        return found or None

    def block_is_whole(self) -> bool:
        """Whether the block has the digest that the record states; true where it states none that is known."""
        kind, _, stated = self.headers.get("warc-block-digest", "").partition(":")
        if kind.lower() != "sha1" or self.block is None:
            return True
        digest = hashlib.sha1(self.block, usedforsecurity=False).digest()
        return stated.strip() in (base64.b32encode(digest).decode("ascii"), digest.hex())


def warc_records(stream: BinaryIO, name: str) -> Iterator[WarcRecord]:
    """All records of the file called `name`; DataError(CORRUPT_DATA) where it is damaged or cut off."""
    number = position = 0
    while True:
        start, line = _first_line(stream, position, name)
        if not line:
            return
        number += 1
        digest = hashlib.sha256(line)
        head, headers = _headers(stream, name, start)
        digest.update(head)
        length = _length(headers, name, start)
        block = _block(stream, length, digest)
        position = start + len(line) + len(head) + length
        if block is not None and len(block) != length:
            raise _damaged(name, start, f"is cut off: its block should have {length:,} bytes")
        position += _closing(stream, name, start, digest)
        yield WarcRecord(number, start, position, headers, block, digest.hexdigest())


def _first_line(stream: BinaryIO, position: int, name: str) -> tuple[int, bytes]:
    """Where the next record starts and its first line; an empty line at the end of the file."""
    while True:
        line = stream.readline(MOST_LINE_BYTES)
        if not line.strip():
            position += len(line)
            if line:
                continue
            return position, b""
        if not line.startswith(VERSION):
            raise _damaged(name, position, f"does not begin with {VERSION.decode()} but with {line[:16]!r}")
        return position, line


def _headers(stream: BinaryIO, name: str, start: int) -> tuple[bytes, dict[str, str]]:
    head = b""
    headers: dict[str, str] = {}
    last = ""
    while True:
        line = stream.readline(MOST_LINE_BYTES)
        head += line
        if not line.endswith(b"\n"):
            raise _damaged(name, start, "is cut off in its headers")
        if len(head) > MOST_HEADER_BYTES:
            raise _damaged(name, start, f"has more than {MOST_HEADER_BYTES:,} bytes of headers")
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if not text:
            return head, headers
        if text[0] in " \t" and last:
            headers[last] += " " + text.strip()
            continue
        field, colon, value = text.partition(":")
        if colon:
            last = field.strip().lower()
            headers.setdefault(last, value.strip())


def _length(headers: Mapping[str, str], name: str, start: int) -> int:
    stated = headers.get("content-length", "")
    if not (stated.isascii() and stated.isdigit() and len(stated) <= 15):
        raise _damaged(name, start, f"states no usable Content-Length ({stated[:40]!r})")
    return int(stated)


def _block(stream: BinaryIO, length: int, digest: hashlib._Hash) -> bytes | None:
    """The block, or None when it was too large to keep and has been read past."""
    if length <= MOST_BLOCK_BYTES:
        block = stream.read(length)
        digest.update(block)
        return block
    left = length
    while left:
        piece = stream.read(min(SKIP_BYTES, left))
        if not piece:
            return piece
        digest.update(piece)
        left -= len(piece)
    return None


def _closing(stream: BinaryIO, name: str, start: int, digest: hashlib._Hash) -> int:
    """Read the two line ends behind a block; their bytes. Some writers leave them out at the end of the file."""
    size = 0
    for _ in range(2):
        line = stream.readline(3)
        if line.strip():
            raise _damaged(name, start, "is longer than its Content-Length")
        digest.update(line)
        size += len(line)
    return size


def _damaged(name: str, start: int, what: str) -> DataError:
    return DataError(
        ErrorCode.CORRUPT_DATA,
        f"{name}: the record at byte {start:,} {what}",
        "fetch the file again, or remove it from data.sources",
        details={"source": name, "byte": start},
    )
