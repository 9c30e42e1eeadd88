"""A tarball as a tree, whoever made it: only regular files and folders, only below the target, whole or not at all.

The bytes are read once: written aside while their digest is taken, and put in place when it is the right one. Times,
owners and modes of the tarball are not taken over.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from loquela.artifacts.crash_points import crash_point
from loquela.artifacts.folders import fsync_files, put_in_place
from loquela.artifacts.store.member_names import MemberNames, refused
from loquela.artifacts.store.packing import MOST_MEMBERS
from loquela.artifacts.store.tar_blocks import (
    BLOCK,
    FILE_MODE,
    FOLDER,
    FOLDER_MODE,
    LARGEST_PAX_BYTES,
    PAX,
    Header,
    damaged,
    padding,
    read_header,
    read_records,
)
from loquela.core.atomic import TEMPORARY_PREFIX, write_error
from loquela.core.errors import ErrorCode, ResourceError

PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class UnpackLimits:
    """What a tarball may become. It is not compressed, so that it never holds more than it weighs."""

    size_bytes: int
    members: int = MOST_MEMBERS


def unpack(pieces: Iterable[bytes], target: Path, *, sha256: str, limits: UnpackLimits) -> None:
    """The tree of a tarball at `target`, in place of what stood there.

    Raises DataError(CORRUPTION) for another digest, a member that may not be, or more than the limits; ResourceError
    (DISK_FULL, WRITE_PERMISSION, WRITE_FAILED) for an OSError. Then nothing has changed.
    """
    parent = target.parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _check_room(parent, limits.size_bytes)
        aside = Path(tempfile.mkdtemp(prefix=f"{TEMPORARY_PREFIX}{target.name}-", dir=parent))
    except OSError as error:
        raise write_error(error, target) from error
    try:
        reader = _Reader(pieces, limits.size_bytes)
        _unpack_members(reader, aside, MemberNames(limits.members))
        if reader.digest.hexdigest() != sha256:
            raise damaged(f"its SHA-256 begins {reader.digest.hexdigest()[:12]}, not {sha256[:12]}")
        aside.chmod(FOLDER_MODE)
        fsync_files(aside)
        crash_point("unpacked")
        put_in_place(aside, target)
    except OSError as error:
        raise write_error(error, target) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


class _Reader:
    """Exact numbers of bytes from pieces of any size, digested on the way."""

    def __init__(self, pieces: Iterable[bytes], most: int) -> None:
        self._pieces = iter(pieces)
        self._most = most
        self._held = memoryview(b"")
        self._read = 0
        self.digest = hashlib.sha256()

    def block(self) -> bytes:
        """One block."""
        return b"".join(self.take(BLOCK))

    def take(self, size: int) -> Iterator[memoryview]:
        """`size` bytes; DataError(CORRUPTION) where there are fewer."""
        while size:
            if not self._held:
                self._held = memoryview(self._next())
            if not self._held:
                raise damaged("it ends in the middle")
            # A view: what is left of a piece is not copied for every small member in it.
            piece, self._held = self._held[:size], self._held[size:]
            size -= len(piece)
            yield piece

    def rest(self) -> None:
        """What comes behind the end: only zeros are taken."""
        while piece := bytes(self._held) or self._next():
            self._held = memoryview(b"")
            if piece.strip(b"\0"):
                raise damaged("something stands behind its end")

    def _next(self) -> bytes:
        """The next piece that is not empty; nothing at the end."""
        for piece in self._pieces:
            self._read += len(piece)
            if self._read > self._most:
                raise damaged(f"it has more than the {self._most} bytes that it may have")
            self.digest.update(piece)
            if piece:
                return bytes(piece)
        return b""


def _unpack_members(reader: _Reader, root: Path, names: MemberNames) -> None:
    records: dict[str, str] | None = None
    while (block := reader.block()).strip(b"\0"):
        header = read_header(block)
        if header.kind == PAX:
            if records is not None or header.size > LARGEST_PAX_BYTES:
                raise damaged("its pax headers are too many or too large")
            records = read_records(b"".join(_body(reader, header.size)))
            continue
        header = _completed(header, records or {})
        records = None
        folder = header.kind == FOLDER
        if folder != header.name.endswith("/"):
            raise refused(header.name, "a folder's name ends with a slash, a file's does not")
        name = header.name.removesuffix("/")
        names.add(name, folder=folder)
        if folder:
            (root / name).mkdir(FOLDER_MODE)
        else:
            _write(root / name, _body(reader, header.size))
            crash_point("unpacking")
    if records is not None or reader.block().strip(b"\0"):
        raise damaged("its end is not two blocks of zeros")
    reader.rest()


def _completed(header: Header, records: dict[str, str]) -> Header:
    """A member with what its pax records say; its own fields are cut short then."""
    size = records.get("size")
    if size is not None and not (size.isascii() and size.isdigit() and len(size) < 20 and header.kind != FOLDER):
        raise damaged("a pax record gives a size that is none")
    return Header(header.kind, records.get("path", header.name), header.size if size is None else int(size))


def _body(reader: _Reader, size: int) -> Iterator[memoryview]:
    yield from reader.take(size)
    for piece in reader.take(len(padding(size))):
        if bytes(piece).strip(b"\0"):
            raise damaged("something stands between two members")


def _write(path: Path, pieces: Iterator[memoryview]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "wb") as stream:
        for piece in pieces:
            stream.write(piece)


def _check_room(folder: Path, size_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size_bytes:
        raise ResourceError(
            ErrorCode.DISK_FULL,
            f"{folder} has {free} bytes free; unpacking takes {size_bytes}",
            "free some space there, then ask again",
            retryable=True,
        )
