"""zip and tar as objects: `books.zip!/a/alice.txt`. Nothing is written to disk, so no name can lead anywhere.

Members come in the order of the archive. They share one open stream, so that going through an archive reads it once;
a member that is opened later opens the archive anew.
"""

from __future__ import annotations

import io
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from loquela.core.errors import DataError, ErrorCode
from loquela.data.objects.limits import ObjectLimits
from loquela.data.objects.streams import PIECE_BYTES, SeekableObject, stream_of
from loquela.data.source_object import SourceObject

ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
TAR_MAGIC = slice(257, 262)
SEPARATOR = "!/"
MOST_MEMBERS = 1_000_000
# A zip's directory is read whole before the first member: 46 bytes and a name each, some ten times that in memory.
MOST_DIRECTORY_BYTES = 64 << 20
# Names and times of one tar member; an honest header has some kilobytes at most.
MOST_HEADER_BYTES = 1 << 20
MOST_COMMON_HEADERS = 100
BUFFER_BYTES = 1 << 16
DAMAGES = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, struct.error, ValueError, RecursionError,
)  # fmt: skip


@dataclass(frozen=True)
class PassedOver:
    """A member that is no file of its own (link, device); `reason` stands in the ledger."""

    name: str
    size_bytes: int
    reason: str


Member = SourceObject | PassedOver


def archive_of(head: bytes) -> str | None:
    """ "zip" or "tar" by the first bytes."""
    if head.startswith(ZIP_MAGIC):
        return "zip"
    return "tar" if head[TAR_MAGIC] == b"ustar" else None


def members(source: SourceObject, kind: str, size_bytes: int | None, limits: ObjectLimits) -> Iterator[Member]:
    """The members of an archive of `size_bytes` (None: unknown, for tar only), folders left out.

    Raises DataError: CORRUPT_DATA for a damaged or cut archive, a name that leads out of it, a bomb; AUTH_FAILED for an
    encrypted member, UNSUPPORTED_FORMAT for a method of packing that is not known, INSUFFICIENT_RESOURCES beyond
    `limits`. Reading a member raises the first two too, and names it.
    """
    if kind == "tar":
        return _tar_members(source, sys.maxsize if size_bytes is None else size_bytes)
    if size_bytes is None:
        raise DataError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"{source.name} is a zip archive inside a compressed file, which is one level too deep",
            "unpack the outer file yourself and give the .zip",
            details={"source": source.name},
        )
    return _zip_members(source, size_bytes, limits)


def _zip_members(source: SourceObject, size: int, limits: ObjectLimits) -> Iterator[Member]:
    with _opened_zip(source, size) as archive:
        shared: list[zipfile.ZipFile] = [archive]
        infos = archive.infolist()
        _check_count(source, len(infos))
        limits.check(source.name, size, sum(info.file_size for info in infos))
        try:
            for info in infos:
                if not info.is_dir():
                    yield _zip_member(source, size, info, limits, shared)
        finally:
            shared.clear()


@contextmanager
def _opened_zip(source: SourceObject, size: int) -> Iterator[zipfile.ZipFile]:
    with ExitStack() as opened:
        stream = opened.enter_context(_ZipFile(SeekableObject(source, size), BUFFER_BYTES))
        try:
            archive = opened.enter_context(zipfile.ZipFile(stream))
        except _DirectoryTooLarge as error:
            raise _too_many(source) from error
        except DAMAGES as error:
            raise _broken(source, "zip", error) from error
        yield archive


class _DirectoryTooLarge(Exception):
    """The directory of a zip would fill memory."""


class _ZipFile(io.BufferedReader):
    """What zipfile reads from. It takes the directory into memory at once, as long as the file says that it is."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MOST_DIRECTORY_BYTES:
            raise _DirectoryTooLarge
        return super().read(size)


def _zip_member(
    source: SourceObject, size: int, info: zipfile.ZipInfo, limits: ObjectLimits, shared: list[zipfile.ZipFile]
) -> SourceObject:
    name = _member_name(source, info.filename)
    if info.flag_bits & 0x1:
        raise DataError(
            ErrorCode.AUTH_FAILED,
            f"{name} is encrypted: the archive asks for a password",
            "unpack it yourself and give the files",
            details={"source": name},
        )
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        raise DataError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"{name} is packed by method {info.compress_type}, which is not known here",
            "unpack it yourself and give the files",
            details={"source": name, "method": info.compress_type},
        )
    limits.check(name, info.compress_size, info.file_size)

    @contextmanager
    def open_at(offset: int) -> Iterator[BinaryIO]:
        with ExitStack() as opened:
            archive = shared[0] if shared else opened.enter_context(_opened_zip(source, size))
            yield opened.enter_context(stream_of(_zip_pieces(archive, info, name, offset)))

    return SourceObject(name=name, open_at=open_at, size_bytes=info.file_size, cheap_offsets=False)


def _zip_pieces(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, offset: int) -> Iterator[bytes]:
    came = 0
    try:
        with archive.open(info) as stream:
            stream.seek(offset)
            while piece := stream.read(PIECE_BYTES):
                came += len(piece)
                yield piece
    except DAMAGES as error:
        raise _damaged(name, f"is damaged or cut off ({error}); {offset + came:,} bytes could be unpacked") from error
    if offset + came != info.file_size and offset <= info.file_size:
        raise _damaged(name, f"has {offset + came:,} bytes; the archive's directory says {info.file_size:,}")


def _tar_members(source: SourceObject, size: int) -> Iterator[Member]:
    stream = SeekableObject(source, size)
    shared: list[SeekableObject] = [stream]
    with ExitStack() as opened:
        opened.callback(shared.clear)
        headers = opened.enter_context(_Headers(stream))
        for count, info in enumerate(_tar_headers(source, headers)):
            _check_count(source, count)
            if info.isdir():
                continue
            name = _member_name(source, info.name)
            if info.isreg() and not info.issparse():
                yield _tar_member(source, size, info, name, shared)
            else:
                yield PassedOver(name, info.size if info.isreg() else 0, "archive_member_is_no_file")


def _tar_headers(source: SourceObject, stream: _Headers) -> Iterator[tarfile.TarInfo]:
    try:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            while (info := archive.next()) is not None:
                vars(archive)["members"] = []  # tarfile keeps every header it has seen
                yield info
                stream.allowed = MOST_HEADER_BYTES
                # What is said for all members is kept, each time it is said.
                if len(archive.pax_headers) > MOST_COMMON_HEADERS:
                    raise tarfile.ReadError(f"more than {MOST_COMMON_HEADERS} headers are for all members")
            stream.seek(archive.offset)
            if not stream.read(tarfile.BLOCKSIZE):
                raise _damaged(source.name, "is cut off: it ends without the end mark of a tar archive")
    except DAMAGES as error:
        raise _broken(source, "tar", error) from error


class _Headers(io.RawIOBase):
    """What tarfile reads headers from: the shared stream, which members read between two headers.

    tarfile takes what a header says of its own length into memory, however much that is: `allowed` is what the next
    header may have, with everything that stands before it.
    """

    def __init__(self, stream: SeekableObject) -> None:
        super().__init__()
        self.allowed = MOST_HEADER_BYTES
        self._stream = stream
        self._position = 0

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = self._stream.seek(offset, whence)
        return self._position

    def read(self, size: int = -1) -> bytes:
        self.allowed -= size
        if self.allowed < 0:
            raise tarfile.ReadError(f"a member's header has more than {MOST_HEADER_BYTES:,} bytes")
        self._stream.seek(self._position)
        data = _read_fully(self._stream, size)
        self._position += len(data)
        return data

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def _read_fully(stream: SeekableObject, size: int) -> bytes:
    parts: list[bytes] = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _tar_member(
    source: SourceObject, size: int, info: tarfile.TarInfo, name: str, shared: list[SeekableObject]
) -> SourceObject:
    @contextmanager
    def open_at(offset: int) -> Iterator[BinaryIO]:
        with ExitStack() as opened:
            stream = shared[0] if shared else opened.enter_context(SeekableObject(source, size))
            yield opened.enter_context(stream_of(_tar_pieces(stream, info, name, offset)))

    return SourceObject(name=name, open_at=open_at, size_bytes=info.size, cheap_offsets=source.cheap_offsets)


def _tar_pieces(stream: SeekableObject, info: tarfile.TarInfo, name: str, offset: int) -> Iterator[bytes]:
    while offset < info.size:
        stream.seek(info.offset_data + offset)
        piece = stream.read(min(PIECE_BYTES, info.size - offset))
        if not piece:
            raise _damaged(name, f"is cut off after {offset:,} of {info.size:,} bytes: the archive ends there")
        offset += len(piece)
        yield piece


def _broken(source: SourceObject, kind: str, error: Exception) -> DataError:
    return _damaged(source.name, f"is a damaged or cut-off {kind} archive: {error}")


def _member_name(source: SourceObject, member: str) -> str:
    parts = member.replace("\\", "/").split("/")
    if member.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in member:
        raise DataError(
            ErrorCode.CORRUPT_DATA,
            f"{source.name} holds a member whose name leads out of it: {member[:200]!r}",
            "do not use an archive made to do harm; remove it from data.sources",
            details={"source": source.name, "member": member[:200]},
        )
    return f"{source.name}{SEPARATOR}{member}"


def _check_count(source: SourceObject, count: int) -> None:
    if count > MOST_MEMBERS:
        raise _too_many(source)


def _too_many(source: SourceObject) -> DataError:
    return DataError(
        ErrorCode.INSUFFICIENT_RESOURCES,
        f"{source.name} holds more than {MOST_MEMBERS:,} members",
        "unpack it yourself, and pack its texts into one .jsonl.zst",
        details={"source": source.name},
    )


def _damaged(name: str, what: str) -> DataError:
    return DataError(
        ErrorCode.CORRUPT_DATA,
        f"{name} {what}",
        "fetch the archive again, or remove it from data.sources",
        details={"source": name},
    )
