"""All files that a pattern fits: `books/**/*.txt` or `glob:books/**/*.txt`."""

from __future__ import annotations

from collections.abc import Iterator

from loquela.core.errors import DataError, ErrorCode
from loquela.data.access.collection import NamedFile, checked, fingerprint_of, read_files, sizes_of
from loquela.data.objects.local import matching_files
from loquela.data.source_contract import ObjectSize, SourceCheck, SourceFingerprint, SourceRequest, SourceText
from loquela.data.tally import Tally


class PatternSource:
    """`*` and `?` stay within a folder, `**` is any depth, `[…]` one of the characters; sorted by path."""

    def check(self, request: SourceRequest) -> SourceCheck:
        """At least one of the files can be read."""
        return checked(_files(request), request, _pattern(request))

    def fingerprint(self, request: SourceRequest) -> SourceFingerprint:
        """Count, size and one SHA-256 over names and digests of the files that can be read."""
        return fingerprint_of(_files(request), request, _pattern(request))

    def objects(self, request: SourceRequest) -> list[ObjectSize]:
        """The files with their sizes."""
        return sizes_of(_files(request))

    def read(self, request: SourceRequest, tally: Tally) -> Iterator[SourceText]:
        """The texts; a file of no known kind is counted under "read"."""
        yield from read_files(_files(request), request, tally)


def _pattern(request: SourceRequest) -> str:
    return request.rest if request.address.startswith("glob:") else request.address


def _files(request: SourceRequest) -> list[NamedFile]:
    pattern = _pattern(request)
    found = matching_files(pattern)
    if not found:
        raise DataError(
            ErrorCode.DATA_NOT_FOUND,
            f"no file fits the pattern {pattern}",
            "correct the pattern in data.sources (a relative one starts at the working directory; ** is any depth)",
            details={"pattern": pattern},
        )
    prefix = f"{request.entry.name}/" if request.entry.name else ""
    return [NamedFile(path, prefix + path.as_posix()) for path in found]
