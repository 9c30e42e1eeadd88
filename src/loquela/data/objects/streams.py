"""Streams over what comes piece by piece: an iterator as a file, a file that seeks, first bytes that are not lost."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, ExitStack
from itertools import chain
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from loquela.data.source_object import SourceObject

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PIECE_BYTES = 1 << 18
HEAD_BYTES = 8192
# tarfile steps back a byte before each header; zipfile reads its directory from the end.
LOOKBACK_BYTES = 1 << 16
# A jump forward that is shorter is read through: a new request costs more.
SKIP_BYTES = 1 << 20


class IteratorStream(io.RawIOBase):
    """The bytes of an iterator as a file; closing it closes a generator, and `opened` with everything it holds."""

    def __init__(self, pieces: Iterator[bytes], opened: ExitStack | None = None) -> None:
        super().__init__()
        self._pieces = pieces
        self._opened = opened or ExitStack()
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        if not self.closed and isinstance(self._pieces, Generator):
            self._pieces.close()
        self._opened.close()
        super().close()


def stream_of(pieces: Iterator[bytes], opened: ExitStack | None = None) -> io.BufferedReader:
    """A binary file that yields `pieces` and closes `opened` when it is closed."""
    return io.BufferedReader(IteratorStream(pieces, opened), PIECE_BYTES)


def pieces_of(stream: BinaryIO, size: int = PIECE_BYTES) -> Iterator[bytes]:
    """What is left of `stream`, piece by piece."""
    while piece := stream.read(size):
        yield piece


class SeekableObject(io.RawIOBase):
    """An object of known size as a file that seeks: forward by reading on, backward by opening it again."""

    def __init__(self, source: SourceObject, size: int) -> None:
        super().__init__()
        self._source = source
        self._size = size
        self._position = 0
        self._opened: ExitStack | None = None
        self._stream: BinaryIO | None = None
        self._stream_at = 0
        self._behind = b""  # the bytes just before `_stream_at`

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        target = memoryview(buffer).cast("B")
        back = self._stream_at - self._position
        if self._stream is not None and 0 < back <= len(self._behind):
            kept = self._behind[len(self._behind) - back :][: len(target)]
            target[: len(kept)] = kept
            self._position += len(kept)
            return len(kept)
        stream = self._at_position()
        data = stream.read(len(target))
        target[: len(data)] = data
        self._remember(data)
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._forget()
        super().close()

    def _at_position(self) -> BinaryIO:
        ahead = self._position - self._stream_at
        # What must be unpacked from its start anyway is never opened anew to go forward.
        skip = SKIP_BYTES if self._source.cheap_offsets else self._size
        if self._stream is None or not 0 <= ahead <= skip:
            self._forget()
            self._opened = ExitStack()
            self._stream = self._opened.enter_context(self._source.open_at(self._position))
            self._stream_at = self._position
        while self._stream_at < self._position:
            data = self._stream.read(min(PIECE_BYTES, self._position - self._stream_at))
            if not data:
                break
            self._remember(data)
        return self._stream

    def _remember(self, data: bytes) -> None:
        self._stream_at += len(data)
        self._behind = (self._behind + data)[-LOOKBACK_BYTES:] if len(data) < LOOKBACK_BYTES else data[-LOOKBACK_BYTES:]

    def _forget(self) -> None:
        opened, self._opened, self._stream, self._behind = self._opened, None, None, b""
        if opened is not None:
            opened.close()


class Peeked:
    """An object whose first bytes are looked at; the stream opened for that serves the first reader from its start."""

    def __init__(self, source: SourceObject) -> None:
        self.source = source
        self._taken = False
        self._opened: ExitStack | None = ExitStack()
        try:
            self._stream = self._opened.enter_context(source.open_at(0))
            self.head = self._stream.read(HEAD_BYTES)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def open_at(self, offset: int) -> AbstractContextManager[BinaryIO]:
        """As `SourceObject.open_at`."""
        self._taken = True
        if self._opened is None or offset:
            return self.source.open_at(offset)
        opened, self._opened = self._opened, None
        head = [self.head] if self.head else []
        return stream_of(chain(head, pieces_of(self._stream)), opened)

    @property
    def taken(self) -> bool:
        """Whether somebody opened the object to read it."""
        return self._taken

    def close(self) -> None:
        """Close the stream that nobody asked for."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()
