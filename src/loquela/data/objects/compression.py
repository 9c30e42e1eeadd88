"""gz, zst, bz2 and xz, told by their first bytes and unpacked as a stream: damage, cuts and bombs are noticed."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from loquela.core.errors import DataError, ErrorCode
from loquela.core.extras import require
from loquela.data.objects.limits import ObjectLimits
from loquela.data.objects.streams import PIECE_BYTES, pieces_of, stream_of
from loquela.data.source_object import SourceObject

MAGIC = {
    "gz": (b"\x1f\x8b\x08",),
    # A frame, or a skippable frame (0x184D2A50 to 5F) as pzstd and seekable zstd put first.
    "zst": (b"\x28\xb5\x2f\xfd", *(bytes([0x50 + n]) + b"\x2a\x4d\x18" for n in range(16))),
    "bz2": tuple(b"BZh%d" % level + block for level in range(1, 10) for block in (b"1AY&SY", b"\x17rE8P\x90")),
    "xz": (b"\xfd7zXZ\x00",),
}
MAGIC_BYTES = 10
SUFFIXES = {".gz": "gz", ".zst": "zst", ".zstd": "zst", ".bz2": "bz2", ".xz": "xz"}
# xz at its highest preset asks for 65 MB to unpack; a header that asks for much more is meant to hurt.
XZ_MEMORY_BYTES = 256 << 20
# `zstd --long` makes windows of 128 MiB.
ZSTD_WINDOW_BYTES = 128 << 20
# A zstd block of 4 bytes can stand for 128 KiB: so much input makes 32 MiB at most.
ZSTD_INPUT_BYTES = 1024


class _Unit(Protocol):
    """Unpacks one member (frame, stream); what follows its end is `rest`."""

    def feed(self, data: bytes) -> Iterator[bytes]: ...

    @property
    def ended(self) -> bool: ...

    @property
    def rest(self) -> bytes: ...


def compression_of(head: bytes) -> str | None:
    """The name of the compression whose first bytes `head` has."""
    return next((kind for kind, starts in MAGIC.items() if head.startswith(starts)), None)


@dataclass
class Growth:
    """How many bytes were unpacked, at the farthest."""

    bytes: int = 0


def decompressed(source: SourceObject, kind: str, limits: ObjectLimits, growth: Growth | None = None) -> SourceObject:
    """What `source` holds, unpacked, and told to `growth`. An offset is reached by unpacking up to it.

    Reading it raises DataError: CORRUPT_DATA for damage, for an end before the end and for a bomb,
    INSUFFICIENT_RESOURCES beyond `limits`; ResourceError(MISSING_EXTRA) for zst without its package.
    """

    @contextmanager
    def open_at(offset: int) -> Iterator[BinaryIO]:
        with ExitStack() as opened:
            packed = opened.enter_context(source.open_at(0))
            pieces = _skipped(_unpacked(packed, kind, source.name, limits, growth or Growth()), offset)
            yield opened.enter_context(stream_of(pieces))

    return SourceObject(
        name=source.name,
        open_at=open_at,
        media_type=source.media_type,
        encoding=source.encoding,
        cheap_offsets=False,
    )


def _skipped(pieces: Iterator[bytes], offset: int) -> Iterator[bytes]:
    for piece in pieces:
        if offset < len(piece):
            yield piece[offset:]
        offset = max(0, offset - len(piece))


def _unpacked(packed: BinaryIO, kind: str, name: str, limits: ObjectLimits, growth: Growth) -> Iterator[bytes]:
    """All members of a compressed file, joined."""
    came = grown = 0
    data = b""
    source = pieces_of(packed, PIECE_BYTES)
    unit: _Unit | None = None
    while True:
        more = b"" if len(data) >= MAGIC_BYTES else next(source, b"")
        came += len(more)
        data += more
        if not data:
            break
        if unit is None:
            unit = _next_member(data, kind, name, first=grown == 0 and came == len(data))
            if unit is None:
                data = b""
                continue
        try:
            for piece in unit.feed(data):
                grown += len(piece)
                limits.check(name, came, grown)
                growth.bytes = max(growth.bytes, grown)
                yield piece
        except _damages(kind) as error:
            raise _damaged(
                name, kind, f"is damaged {kind} data ({error}); {grown:,} bytes could be unpacked"
            ) from error
        data = unit.rest if unit.ended else b""
        unit = None if unit.ended else unit
    if unit is not None:
        raise _damaged(name, kind, f"is cut off: its {kind} data ends after {came:,} bytes, before its end mark")


def _next_member(data: bytes, kind: str, name: str, *, first: bool) -> _Unit | None:
    """The unpacker of the member that `data` begins with; None for padding with zero bytes (tapes, dd)."""
    if compression_of(data[:MAGIC_BYTES]) == kind or (first and len(data) < MAGIC_BYTES):
        return _UNITS[kind]()
    if data.strip(b"\0"):
        raise _damaged(name, kind, f"has bytes behind the end of its {kind} data that are none: {data[:8].hex(' ')} …")
    return None


def _damaged(name: str, kind: str, what: str) -> DataError:
    test = {"gz": "gzip", "zst": "zstd", "bz2": "bzip2", "xz": "xz"}[kind]
    return DataError(
        ErrorCode.CORRUPT_DATA,
        f"{name} {what}",
        f"fetch it again (to test it: {test} -t), or remove it from data.sources",
        details={"source": name, "compression": kind},
    )


def _damages(kind: str) -> tuple[type[Exception], ...]:
    if kind == "zst":
        import zstandard

        return (zstandard.ZstdError,)
    return (zlib.error, lzma.LZMAError, OSError, EOFError)


class _Gzip:
    def __init__(self) -> None:
        self._inner = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def feed(self, data: bytes) -> Iterator[bytes]:
        while not self._inner.eof:
            piece = self._inner.decompress(data, PIECE_BYTES)
            data = self._inner.unconsumed_tail
            if piece:
                yield piece
            if not data and len(piece) < PIECE_BYTES:
                return

    @property
    def ended(self) -> bool:
        return self._inner.eof

    @property
    def rest(self) -> bytes:
        return self._inner.unused_data


class _Bounded:
    """bz2 and xz, whose decompressors share one form."""

    def __init__(self, inner: bz2.BZ2Decompressor | lzma.LZMADecompressor) -> None:
        self._inner = inner

    def feed(self, data: bytes) -> Iterator[bytes]:
        while not self._inner.eof:
            piece = self._inner.decompress(data, PIECE_BYTES)
            data = b""
            if piece:
                yield piece
            if self._inner.needs_input:
                return

    @property
    def ended(self) -> bool:
        return self._inner.eof

    @property
    def rest(self) -> bytes:
        return self._inner.unused_data


class _Zstd:
    def __init__(self) -> None:
        zstandard = require("zstandard", extra="data", purpose="reading .zst files")
        self._inner = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES).decompressobj()
        self._behind = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), ZSTD_INPUT_BYTES):
            piece: bytes = self._inner.decompress(data[start : start + ZSTD_INPUT_BYTES])
            if piece:
                yield piece
            if self._inner.eof:
                self._behind = self._inner.unused_data + data[start + ZSTD_INPUT_BYTES :]
                return

    @property
    def ended(self) -> bool:
        return bool(self._inner.eof)

    @property
    def rest(self) -> bytes:
        return self._behind


_UNITS: dict[str, Callable[[], _Unit]] = {
    "gz": _Gzip,
    "zst": _Zstd,
    "bz2": lambda: _Bounded(bz2.BZ2Decompressor()),
    "xz": lambda: _Bounded(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY_BYTES)),
}
