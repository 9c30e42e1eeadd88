"""Files of this machine as objects: one, all of a folder, those that a pattern fits."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from loquela.data.objects.local_text import read_error, require_readable
from loquela.data.source_object import SourceObject

GLOB_SIGNS = re.compile(r"[*?\[]")


def local_object(path: Path, name: str) -> SourceObject:
    """The file at `path`; DataError (DATA_NOT_FOUND, READ_FAILED) when it cannot be read."""
    size = require_readable(path)

    @contextmanager
    def open_at(offset: int) -> Iterator[BinaryIO]:
        try:
            stream = path.open("rb")
        except OSError as error:
            raise read_error(error, path) from error
        with stream:
            stream.seek(offset)
            yield stream

    return SourceObject(name=name, open_at=open_at, size_bytes=size, path=path)


def visible_files(folder: Path) -> Iterator[Path]:
    """All files below `folder`, sorted by path; hidden files and folders are passed over."""

    def stop(error: OSError) -> None:
        raise read_error(error, Path(str(error.filename))) from error

    for place, folders, files in os.walk(folder, onerror=stop):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(place) / name


def is_pattern(address: str) -> bool:
    """Whether `address` has signs of a pattern and no file is called so."""
    return GLOB_SIGNS.search(address) is not None and not Path(address).expanduser().exists()


def matching_files(pattern: str) -> list[Path]:
    """The files that fit `pattern` (`*`, `?`, `[…]`, `**` for any depth), sorted; hidden ones only if it names them."""
    found = glob.glob(str(Path(pattern).expanduser()), recursive=True)
    return [path for path in map(Path, sorted(set(found))) if path.is_file()]
