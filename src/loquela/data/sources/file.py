"""One text file: `corpus.txt` or `file:corpus.txt`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from loquela.core.errors import DataError, ErrorCode
from loquela.data.local_text import file_fingerprint, local_text, require_readable
from loquela.data.source_contract import SourceCheck, SourceFingerprint, SourceRequest, SourceText
from loquela.data.tally import Tally


class FileSource:
    """A single UTF-8 text file (UTF-16 with a byte order mark is read too)."""

    def check(self, request: SourceRequest) -> SourceCheck:
        """The file exists, may be read and is not empty."""
        path = _path(request)
        size = require_readable(path)
        if size == 0:
            raise DataError(
                ErrorCode.INSUFFICIENT_DATA,
                f"{path} is empty (0 bytes)",
                "give a file with text, or remove it from data.sources",
                details={"path": str(path)},
            )
        return SourceCheck(address=request.address, size_bytes=size, texts=1, message=f"{path} has {size:,} bytes")

    def fingerprint(self, request: SourceRequest) -> SourceFingerprint:
        """Size and SHA-256 of the file."""
        return file_fingerprint(_path(request))

    def read(self, request: SourceRequest, tally: Tally) -> Iterator[SourceText]:
        """The one text."""
        yield local_text(_path(request), request.address, tally)


def _path(request: SourceRequest) -> Path:
    as_written = Path(request.address).expanduser()
    if request.address.startswith("file:") and not as_written.exists():
        return Path(request.rest).expanduser()
    return as_written
