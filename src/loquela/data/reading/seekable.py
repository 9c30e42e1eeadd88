"""An object as a file that can be read anywhere: opened again at each place that is sought."""

from __future__ import annotations

import io
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO

from loquela.data.reading.object_bytes import READ_BYTES, object_chunks
from loquela.data.source_object import SourceObject

if TYPE_CHECKING:
    from typing_extensions import Buffer

# Passing over this much is cheaper than opening a bucket's object again.
PASS_OVER_BYTES = 1 << 16


def open_seekable(source: SourceObject) -> BinaryIO:
    """`source` for reading anywhere; raises what opening it raises."""
    if source.path is not None:
        return source.path.open("rb")
    return io.BufferedReader(_SeekableObject(source), READ_BYTES)


class _SeekableObject(io.RawIOBase):
    def __init__(self, source: SourceObject) -> None:
        super().__init__()
        self._source = source
        self._size = _size_of(source)
        self._wanted = 0
        self._reached = 0
        self._stream: BinaryIO | None = None
        self._open = ExitStack()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._wanted

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._wanted, io.SEEK_END: self._size}[whence]
        self._wanted = max(0, start + offset)
        return self._wanted

    def readinto(self, buffer: Buffer) -> int:
        if self._wanted >= self._size:
            return 0
        room = memoryview(buffer).cast("B")
        data = self._at_wanted().read(len(room))
        room[: len(data)] = data
        self._wanted += len(data)
        self._reached = self._wanted
        return len(data)

    def _at_wanted(self) -> BinaryIO:
        ahead = self._wanted - self._reached
        if self._stream is None or not 0 <= ahead <= PASS_OVER_BYTES:
            self._open.close()
            self._stream = self._open.enter_context(self._source.open_at(self._wanted))
        elif ahead:
            self._stream.read(ahead)
        return self._stream

    def close(self) -> None:
        self._open.close()
        super().close()


def _size_of(source: SourceObject) -> int:
    if source.size_bytes is not None:
        return source.size_bytes
    return sum(map(len, object_chunks(source)))
