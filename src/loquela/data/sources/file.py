"""One file of any kind that can be read: `corpus.txt`, `file:books.zip`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from loquela.core.errors import DataError, ErrorCode
from loquela.data.content.texts import texts_of
from loquela.data.objects.local import local_object
from loquela.data.objects.local_text import file_fingerprint, require_readable
from loquela.data.source_contract import SourceCheck, SourceFingerprint, SourceRequest, SourceText
from loquela.data.tally import Tally


class FileSource:
    """A text, records, a document, an archive; what is of no known kind is read as text."""

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
        """Size and SHA-256 of the file as it lies."""
        return file_fingerprint(_path(request))

    def read(self, request: SourceRequest, tally: Tally) -> Iterator[SourceText]:
        """The texts in it."""
        path = _path(request)
        yield from texts_of(local_object(path, request.object_named(path.name)), request, tally, alone=True)


def _path(request: SourceRequest) -> Path:
    as_written = Path(request.address).expanduser()
    if request.address.startswith("file:") and not as_written.exists():
        return Path(request.rest).expanduser()
    return as_written
