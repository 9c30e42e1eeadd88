"""Files on this machine: opened, digested and streamed with errors that say which file and what to do."""

from __future__ import annotations

import errno
import stat
from collections.abc import Iterator
from pathlib import Path

from loquela.core.digests import digest_file
from loquela.core.errors import DataError, ErrorCode
from loquela.core.near_names import nearest
from loquela.data.encoding.decode import decode
from loquela.data.source_contract import SourceFingerprint, SourceText
from loquela.data.tally import Tally

CHUNK_BYTES = 1 << 20


def require_readable(path: Path) -> int:
    """Size of the file at `path`; DataError (DATA_NOT_FOUND, READ_FAILED) when it cannot be read."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise OSError(errno.EINVAL, "it is no regular file")
        with path.open("rb"):
            return status.st_size
    except OSError as error:
        raise read_error(error, path) from error


def read_error(error: OSError, path: Path) -> DataError:
    """The typed error for a failed read, with the nearest existing name for a missing file."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        near = _near_name(path)
        return DataError(
            ErrorCode.DATA_NOT_FOUND,
            f"there is no file or folder {path}" + (f"; did you mean {near}?" if near else ""),
            "correct the path in data.sources (a relative one starts at the working directory)",
            details={"path": str(path)},
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return DataError(
            ErrorCode.READ_FAILED,
            f"no permission to read {path}",
            f"give yourself permission: chmod u+r {path}",
            details={"path": str(path)},
        )
    return DataError(
        ErrorCode.READ_FAILED,
        f"reading {path} failed: {error.strerror or error}",
        "check the file and the file system that holds it",
        details={"path": str(path)},
    )


def _near_name(path: Path) -> Path | None:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return None
    near = nearest(path.name, names)
    return path.parent / near if near else None


def read_chunks(path: Path) -> Iterator[bytes]:
    """The bytes of `path` in constant memory."""
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise read_error(error, path) from error


def local_text(path: Path, name: str, tally: Tally, *, declared: str | None = None) -> SourceText:
    """The text in `path`, recorded as `name`."""
    return SourceText(name=name, pieces=_pieces(path, name, tally, declared))


def _pieces(path: Path, name: str, tally: Tally, declared: str | None) -> Iterator[str]:
    size = require_readable(path)
    tally.enter("read", size, 1)
    yield from decode(_counted(path, tally), name, tally, declared=declared, path=str(path))


def _counted(path: Path, tally: Tally) -> Iterator[bytes]:
    for chunk in read_chunks(path):
        tally.leave("read", len(chunk))
        yield chunk
    tally.leave("read", 0, 1)
    tally.enter("decode", 0, 1)


def file_fingerprint(path: Path) -> SourceFingerprint:
    """Size and SHA-256 of one file."""
    size = require_readable(path)
    return SourceFingerprint(texts=1, bytes=size, sha256=digest_file(path))
