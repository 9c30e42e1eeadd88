"""All text files below a folder: `texts/` or `folder:texts/`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from loquela.core.digests import digest_file
from loquela.core.errors import DataError, ErrorCode
from loquela.data.local_text import local_text, read_error, require_readable
from loquela.data.source_contract import SourceCheck, SourceFingerprint, SourceRequest, SourceText
from loquela.data.tally import Tally

TEXT_SUFFIXES = frozenset({".txt", ".text", ".md", ".rst"})


class FolderSource:
    """Text files of a folder and its subfolders, sorted by path; hidden files and folders are passed over."""

    def check(self, request: SourceRequest) -> SourceCheck:
        """The folder holds at least one readable text file."""
        sizes = [require_readable(path) for path in _text_files(_folder(request))]
        return SourceCheck(
            address=request.address,
            size_bytes=sum(sizes),
            texts=len(sizes),
            message=f"{_folder(request)} holds {len(sizes):,} text files, {sum(sizes):,} bytes",
        )

    def fingerprint(self, request: SourceRequest) -> SourceFingerprint:
        """Count, size and one SHA-256 over names and digests of the text files."""
        folder = _folder(request)
        total, count, digest = 0, 0, hashlib.sha256()
        for path in _text_files(folder):
            total += require_readable(path)
            count += 1
            digest.update(f"{path.relative_to(folder).as_posix()}\t{digest_file(path)}\n".encode())
        return SourceFingerprint(texts=count, bytes=total, sha256=digest.hexdigest())

    def read(self, request: SourceRequest, tally: Tally) -> Iterator[SourceText]:
        """One text a file; files that are no text by their suffix are counted under "read"."""
        folder = _folder(request)
        for path in _visible_files(folder):
            if path.suffix.lower() in TEXT_SUFFIXES:
                name = f"{request.address.rstrip('/')}/{path.relative_to(folder).as_posix()}"
                yield local_text(path, name, tally)
            else:
                size = path.lstat().st_size
                tally.enter("read", size, 1)
                tally.change("read", "not_a_text_suffix", -size, -1)


def _folder(request: SourceRequest) -> Path:
    as_written = Path(request.address).expanduser()
    if request.address.startswith("folder:") and not as_written.exists():
        return Path(request.rest).expanduser()
    return as_written


def _raise_read_error(error: OSError) -> None:
    raise read_error(error, Path(error.filename)) from error


def _visible_files(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder, onerror=_raise_read_error):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(place) / name


def _text_files(folder: Path) -> Iterator[Path]:
    """The text files of `folder`; DataError(DATA_NOT_FOUND) when there are none."""
    others, found = 0, False
    for path in _visible_files(folder):
        if path.suffix.lower() in TEXT_SUFFIXES:
            found = True
            yield path
        else:
            others += 1
    if not found:
        raise DataError(
            ErrorCode.DATA_NOT_FOUND,
            f"{folder} holds no text file ({', '.join(sorted(TEXT_SUFFIXES))}); it holds {others} other files",
            "put text files there, or correct the folder in data.sources",
            details={"path": str(folder), "other_files": others},
        )
