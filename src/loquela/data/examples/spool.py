"""Examples on disk between two passes, so that memory holds numbers only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from loquela.artifacts.examples import Example
from loquela.core.atomic import TEMPORARY_PREFIX, write_error


class ExampleSpool:
    """A file of examples that is gone when the `with` block ends; examples are found again by number."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / f"{TEMPORARY_PREFIX}examples-spool.jsonl"
        self._offsets: list[int] = []

    def __enter__(self) -> Self:
        try:
            self._stream = self.path.open("w+b")
        except OSError as error:
            raise write_error(error, self.path) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        self.path.unlink(missing_ok=True)

    def __len__(self) -> int:
        return len(self._offsets)

    def put(self, example: Example) -> int:
        """Append an example; its number."""
        try:
            self._offsets.append(self._stream.tell())
            self._stream.write(example.model_dump_json(exclude_defaults=True).encode("utf-8") + b"\n")
        except OSError as error:
            raise write_error(error, self.path) from error
        return len(self._offsets) - 1

    def get(self, number: int) -> Example:
        """An example by its number."""
        end = self._stream.tell()
        self._stream.seek(self._offsets[number])
        line = self._stream.readline()
        self._stream.seek(end)
        return Example.model_validate_json(line)

    def __iter__(self) -> Iterator[Example]:
        return (self.get(number) for number in range(len(self)))
