"""All files below a folder that can be read: `texts/` or `folder:texts/`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from loquela.data.access.collection import NamedFile, checked, fingerprint_of, read_files, sizes_of
from loquela.data.objects.local import visible_files
from loquela.data.source_contract import ObjectSize, SourceCheck, SourceFingerprint, SourceRequest, SourceText
from loquela.data.tally import Tally


class FolderSource:
    """Files of a folder and its subfolders, sorted by path; hidden files and folders are passed over."""

    def check(self, request: SourceRequest) -> SourceCheck:
        """The folder holds at least one file that can be read."""
        return checked(_files(request), request, str(_folder(request)))

    def fingerprint(self, request: SourceRequest) -> SourceFingerprint:
        """Count, size and one SHA-256 over names and digests of the files that can be read."""
        return fingerprint_of(_files(request), request, str(_folder(request)))

    def objects(self, request: SourceRequest) -> list[ObjectSize]:
        """The files with their sizes."""
        return sizes_of(_files(request))

    def read(self, request: SourceRequest, tally: Tally) -> Iterator[SourceText]:
        """The texts; a file of no known kind is counted under "read"."""
        yield from read_files(_files(request), request, tally)


def _folder(request: SourceRequest) -> Path:
    as_written = Path(request.address).expanduser()
    if request.address.startswith("folder:") and not as_written.exists():
        return Path(request.rest).expanduser()
    return as_written


def _files(request: SourceRequest) -> list[NamedFile]:
    folder = _folder(request)
    name = request.entry.key.rstrip("/")
    return [NamedFile(path, f"{name}/{path.relative_to(folder).as_posix()}") for path in visible_files(folder)]
