"""One value for every document, on disk: what is decided about all of them takes hardly any memory."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from loquela.core.atomic import write_error

# Values of every column that are in memory at once while all are gone through.
BLOCK_DOCUMENTS = 1 << 14
ZEROS = bytes(1 << 20)

Value = TypeVar("Value", np.int8, np.int64, np.uint64, np.float32, np.bool_)


class Columns:
    """Columns of `count` values in files without a name in `directory`, which go with the last use of the column.

    Where `directory` is None they are in memory.
    """

    def __init__(self, directory: Path | None, count: int) -> None:
        self.directory = directory
        self.count = count
        self._maps: list[mmap.mmap] = []

    def make(self, kind: type[Value]) -> NDArray[Value]:
        """A column of zeros; ResourceError (DISK_FULL, …) when there is no room for it."""
        size_bytes = self.count * np.dtype(kind).itemsize
        if self.directory is None or size_bytes == 0:
            return np.zeros(self.count, dtype=kind)
        try:
            with tempfile.TemporaryFile(dir=self.directory) as stream:
                # Written, not only promised: a map on a full disk would end the process without a word.
                for written in range(0, size_bytes, len(ZEROS)):
                    stream.write(ZEROS[: size_bytes - written])
                stream.flush()
                found = mmap.mmap(stream.fileno(), size_bytes)
        except OSError as error:
            raise write_error(error, self.directory) from error
        self._maps.append(found)
        return np.frombuffer(found, dtype=kind)

    def numbers(self) -> NDArray[np.int64]:
        """A column of the documents' own numbers."""
        column = self.make(np.int64)
        for here in self.blocks():
            column[here] = np.arange(here.start, here.stop)
        return column

    def blocks(self) -> Iterator[slice[int, int, int]]:
        """All documents in order, some at a time; the columns leave memory after each."""
        for start in range(0, self.count, BLOCK_DOCUMENTS):
            yield slice(start, min(self.count, start + BLOCK_DOCUMENTS))
            self.release()

    def release(self) -> None:
        """Let the columns leave memory; they keep their values, and come back where they are looked at."""
        for found in self._maps:
            found.madvise(mmap.MADV_DONTNEED)

    def group_sizes(
        self, groups: NDArray[np.int64], wanted: Callable[[slice[int, int, int]], NDArray[np.bool_]]
    ) -> NDArray[np.int64]:
        """For every number, how many of the `wanted` documents have it in `groups`."""
        sizes = self.make(np.int64)
        for here in self.blocks():
            found, counts = np.unique(groups[here][wanted(here)], return_counts=True)
            sizes[found] += counts
        return sizes
