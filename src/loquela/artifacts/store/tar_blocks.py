"""The tar format, as much of it as is written and taken here: POSIX ustar, with pax records for long names and sizes.

Everything that could differ between two machines is fixed: times, owners and groups are 0, modes 0644 and 0755.
Format: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Header Block".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from loquela.core.errors import DataError, ErrorCode

BLOCK = 512
END = bytes(2 * BLOCK)
FILE, FOLDER, PAX = b"0", b"5", b"x"
FILE_MODE, FOLDER_MODE = 0o644, 0o755
PAX_NAME = "././@PaxHeader"
LONGEST_PLAIN_NAME = 100
LARGEST_PLAIN_SIZE = 8**11 - 1
LARGEST_PAX_BYTES = 16 * 1024
MAGIC = b"ustar\x0000"
OCTAL = re.compile(rb"[0-7]+[ \0]*")
# Bits that would let a file run as somebody else.
SPECIAL_BITS = 0o7000


@dataclass(frozen=True)
class Header:
    """One member's header block; `name` of a folder has no slash at its end."""

    kind: bytes
    name: str
    size: int


def headers(name: str, size: int, *, folder: bool) -> bytes:
    """The blocks in front of a member's bytes: its header, with a pax header before it where that is needed."""
    kind, mode = (FOLDER, FOLDER_MODE) if folder else (FILE, FILE_MODE)
    full = name + "/" if folder else name
    records = b""
    if not (full.isascii() and len(full) <= LONGEST_PLAIN_NAME):
        records += _record("path", full)
    if size > LARGEST_PLAIN_SIZE:
        records += _record("size", str(size))
    plain = full.encode("ascii", "replace")[:LONGEST_PLAIN_NAME]
    own = _block(plain, min(size, LARGEST_PLAIN_SIZE), kind, mode)
    if not records:
        return own
    before = _block(PAX_NAME.encode("ascii"), len(records), PAX, FILE_MODE)
    return before + records + padding(len(records)) + own


def padding(size: int) -> bytes:
    """The zeros that fill a member's last block."""
    return bytes(-size % BLOCK)


def read_header(block: bytes) -> Header:
    """A header block; DataError(CORRUPTION) for every kind of member that is not taken, and for a damaged one."""
    if _octal(block[148:156]) != _checksum(block):
        raise damaged("a header's checksum is not right")
    if block[257:265] != MAGIC:
        raise damaged("a header is not in the POSIX format")
    kind = block[156:157]
    if kind == b"\0":
        kind = FILE
    if kind not in (FILE, FOLDER, PAX):
        raise damaged(f"it holds a member of type {kind!r}: only files and folders are taken")
    if block[157:257].strip(b"\0"):
        raise damaged("a member names a link")
    if _octal(block[100:108]) & SPECIAL_BITS:
        raise damaged("a member would run as somebody else (setuid, setgid or sticky)")
    prefix, name = _text(block[345:500]), _text(block[:100])
    size = _octal(block[124:136])
    if kind == FOLDER and size:
        raise damaged("a folder has bytes of its own")
    return Header(kind, f"{prefix}/{name}" if prefix else name, size)


def read_records(data: bytes) -> dict[str, str]:
    """The pax records of one member; only `path` and `size` are known here."""
    found: dict[str, str] = {}
    while data:
        digits, space, _ = data.partition(b" ")
        if not space or not digits.isdigit() or len(digits) > 5:
            raise damaged("a pax record has no length")
        length = int(digits)
        record = data[len(digits) + 1 : length]
        key, equals, value = record[:-1].partition(b"=")
        if length > len(data) or not equals or record[-1:] != b"\n" or key not in (b"path", b"size"):
            raise damaged("a pax record is not one that is known here")
        if key.decode("ascii") in found:
            raise damaged("a pax record stands there twice")
        found[key.decode("ascii")] = _text(value)
        data = data[length:]
    return found


def damaged(why: str) -> DataError:
    """The error for bytes that are no tarball as it is taken here."""
    return DataError(
        ErrorCode.CORRUPTION,
        f"the tarball cannot be taken: {why}",
        "use a tarball that Loquela made; nothing of this one was kept",
    )


def _record(key: str, value: str) -> bytes:
    """<length> key=value: the length counts its own digits."""
    body = f" {key}={value}\n".encode()
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode("ascii") + body


def _block(name: bytes, size: int, kind: bytes, mode: int) -> bytes:
    zero = b"0000000\0"
    fields = (
        name.ljust(100, b"\0"),
        b"%07o\0" % mode,
        zero,
        zero,
        b"%011o\0" % size,
        b"%011o\0" % 0,
        b" " * 8,
        kind,
        bytes(100),
        MAGIC,
        bytes(64),
        zero,
        zero,
        bytes(155 + 12),
    )
    block = b"".join(fields)
    return block[:148] + b"%06o\0 " % _checksum(block) + block[156:]


def _checksum(block: bytes) -> int:
    """The sum of all bytes, those of the checksum itself taken as spaces."""
    return sum(block[:148]) + 8 * 32 + sum(block[156:])


def _octal(field: bytes) -> int:
    text = field.strip(b" \0")
    if not text:
        return 0
    if not OCTAL.fullmatch(field.lstrip(b" ")):
        raise damaged("a header holds a number that is none")
    return int(text, 8)


def _text(field: bytes) -> str:
    text = field.rstrip(b"\0")
    if b"\0" in text:
        raise damaged("a name goes on behind its end")
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise damaged("a name is no UTF-8") from error
