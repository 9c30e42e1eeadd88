"""Many files of this machine as one source: what a folder and a pattern have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from loquela.core.digests import digest_file
from loquela.core.errors import DataError, ErrorCode
from loquela.data.content.kind import kind_of
from loquela.data.content.texts import texts_of
from loquela.data.objects.archives import archive_of
from loquela.data.objects.compression import compression_of
from loquela.data.objects.local import local_object
from loquela.data.objects.local_text import read_error, require_readable
from loquela.data.objects.streams import HEAD_BYTES
from loquela.data.source_contract import ObjectSize, SourceCheck, SourceFingerprint, SourceRequest, SourceText
from loquela.data.tally import Tally


@dataclass(frozen=True)
class NamedFile:
    """A file, and what ledger and lineage call it; names rise in the order of reading."""

    path: Path
    name: str


def checked(files: Sequence[NamedFile], request: SourceRequest, place: str) -> SourceCheck:
    """How much there is to read in `place`; DataError (DATA_NOT_FOUND) when there is nothing."""
    sizes = [require_readable(file.path) for file in _readable(files, request, place)]
    return SourceCheck(
        address=request.address,
        size_bytes=sum(sizes),
        texts=len(sizes),
        message=f"{place} holds {len(sizes):,} files to read, {sum(sizes):,} bytes",
    )


def fingerprint_of(files: Sequence[NamedFile], request: SourceRequest, place: str) -> SourceFingerprint:
    """Count, size and one SHA-256 over names and digests of the files that can be read."""
    total, count, digest = 0, 0, hashlib.sha256()
    for file in _readable(files, request, place):
        total += require_readable(file.path)
        count += 1
        digest.update(f"{file.name}\t{digest_file(file.path)}\n".encode("utf-8", "surrogateescape"))
    return SourceFingerprint(texts=count, bytes=total, sha256=digest.hexdigest())


def sizes_of(files: Sequence[NamedFile]) -> list[ObjectSize]:
    """Every file, those too that will only be counted."""
    return [ObjectSize(name=file.name, size_bytes=file.path.stat().st_size) for file in files]


def read_files(files: Sequence[NamedFile], request: SourceRequest, tally: Tally) -> Iterator[SourceText]:
    """The texts of the files that the request asks for; what is of no known kind is counted and passed over."""
    wanted = None if request.objects is None else frozenset(request.objects)
    for file in files:
        if wanted is None or file.name in wanted:
            yield from texts_of(local_object(file.path, file.name), request, tally, alone=False)


def _readable(files: Sequence[NamedFile], request: SourceRequest, place: str) -> Iterator[NamedFile]:
    declared = None if request.entry.format == "auto" else request.entry.format
    others, found = 0, False
    for file in files:
        head = _head(file.path)
        if compression_of(head) or archive_of(head) or kind_of(file.name, head, declared):
            found = True
            yield file
        else:
            others += 1
    if not found:
        raise DataError(
            ErrorCode.DATA_NOT_FOUND,
            f"{place} holds no file that can be read; it holds {others} other files",
            "put texts, records or documents there, or correct the address in data.sources",
            details={"path": place, "other_files": others},
        )


def _head(path: Path) -> bytes:
    require_readable(path)
    try:
        with path.open("rb") as stream:
            return stream.read(HEAD_BYTES)
    except OSError as error:
        raise read_error(error, path) from error
