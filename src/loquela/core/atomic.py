"""Files that are either whole or absent.

A file is written to a temporary name in its own folder, flushed, fsynced, renamed, and the folder is
fsynced; a reader never sees half of one, whatever moment the process or the machine dies at.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import JsonValue

from loquela.core.errors import ErrorCode, LoquelaError, ResourceError

TEMPORARY_PREFIX = ".tmp-"


def fsync_directory(directory: Path) -> None:
    """Make a rename inside `directory` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_error(error: OSError, path: Path) -> LoquelaError:
    """The typed error for a failed write: DISK_FULL, WRITE_PERMISSION or WRITE_FAILED."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ResourceError(
            ErrorCode.DISK_FULL,
            f"no space left on the file system of {path}",
            "free some space there, or choose another output_directory; then run the same command again",
            details={"path": str(path)},
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ResourceError(
            ErrorCode.WRITE_PERMISSION,
            f"no permission to write {path}: {error.strerror}",
            "give yourself write permission there, or choose another output_directory",
            details={"path": str(path)},
        )
    return ResourceError(
        ErrorCode.WRITE_FAILED,
        f"writing {path} failed: {error.strerror or error}",
        "check the file system that holds it; then run the same command again",
        details={"path": str(path)},
    )


@contextmanager
def atomic_path(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; on success it becomes `path`, on failure it goes.

    Until then nobody but the owner can read it; then its permissions are `mode`.
    Raises ResourceError (DISK_FULL, WRITE_PERMISSION, WRITE_FAILED) for an OSError while writing.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, suffix="-" + path.name, dir=path.parent)
    except OSError as error:
        raise write_error(error, path) from error
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
        fsync_directory(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise write_error(error, path) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write `data` to `path`, whole or not at all."""
    with atomic_path(path, mode) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str, mode: int = 0o644) -> None:
    """Write `text` to `path` as UTF-8 with LF line ends, whole or not at all."""
    write_bytes(path, text.encode("utf-8"), mode)


def write_json(path: Path, value: JsonValue) -> None:
    """Write `value` as indented JSON, whole or not at all; NaN and infinities are refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def append_line(path: Path, line: str) -> None:
    """Append one line in a single write, so that lines of several writers never mix; whole or not at all."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as error:
        raise write_error(error, path) from error
    data = (line + "\n").encode("utf-8")
    written = 0
    try:
        written = os.write(descriptor, data)
        if written < len(data):
            # A file system that is nearly full takes a part; writing the rest says why.
            os.write(descriptor, data[written:])
    except OSError as error:
        if written:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
        raise write_error(error, path) from error
    finally:
        os.close(descriptor)
