"""What lies in a folder of documents, found out by reading them: how much text, and which cannot be read and why."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from pydantic import Field

from loquela.core.errors import DataError, ErrorCode, RecipeError
from loquela.core.model import BoundaryModel
from loquela.data.documents.load import DocumentReader
from loquela.data.documents.media_types import BY_SUFFIX
from loquela.recipe.document_section import DocumentOptions

# Beyond either, the rest is judged by the bytes of what was read.
FILES_READ = 200
SECONDS_READ = 60.0


class Unreadable(BoundaryModel):
    """One file that the run would stop at."""

    file: str
    reason: str
    remedy: str


class DocumentSurvey(BoundaryModel):
    """`files` are those that can be read; of `read` documents the text was counted, of the others it is judged."""

    files: list[str]
    kinds: dict[str, int] = Field(description="suffix → how many")
    read: int
    pages: int
    characters: int
    estimated: bool
    unreadable: list[Unreadable]
    ignored: list[str] = Field(description="files that are no documents by their name")


def survey(place: str, *, files_read: int = FILES_READ, seconds: float = SECONDS_READ) -> DocumentSurvey:
    """Read what lies at `place`, a folder or a file.

    Raises RecipeError(INVALID_SOURCE) where nothing is, DataError(INSUFFICIENT_DATA) without a readable document;
    ResourceError(MISSING_EXTRA) where the packages that read documents are not installed.
    """
    files, ignored = _files(place)
    options = DocumentOptions()
    found = DocumentSurvey(
        files=[], kinds={}, read=0, pages=0, characters=0, estimated=False, unreadable=[], ignored=ignored
    )
    bytes_read = bytes_left = 0
    end = time.monotonic() + seconds
    with DocumentReader(options) as reader:
        for number, path in enumerate(files):
            size = path.stat().st_size
            if number >= files_read or time.monotonic() > end:
                found.files.append(str(path))
                bytes_left += size
                continue
            try:
                document = reader.load(path)
            except DataError as error:
                found.unreadable.append(Unreadable(file=str(path), reason=error.message, remedy=error.remedy))
                continue
            found.files.append(str(path))
            found.read += 1
            found.pages += max(1, len(document.pages))
            found.characters += len(document.text)
            bytes_read += size
    if not found.files:
        raise _nothing(place, found)
    found.kinds = dict(Counter(Path(name).suffix.lower() for name in found.files))
    if bytes_left and bytes_read:
        found.pages += round(found.pages * bytes_left / bytes_read)
        found.characters += round(found.characters * bytes_left / bytes_read)
        found.estimated = True
    return found


def _files(place: str) -> tuple[list[Path], list[str]]:
    """Documents, in order, and the names of what is none."""
    path = Path(place).expanduser()
    if path.is_file():
        return [path], []
    if not path.is_dir():
        raise RecipeError(
            ErrorCode.INVALID_SOURCE,
            f"there is no folder {place}",
            "give the folder that holds your documents: --docs DIR",
        )
    every = sorted(each for each in path.rglob("*") if each.is_file() and not each.name.startswith("."))
    documents = [each for each in every if each.suffix.lower() in BY_SUFFIX]
    return documents, [str(each) for each in every if each.suffix.lower() not in BY_SUFFIX]


def _nothing(place: str, found: DocumentSurvey) -> DataError:
    kinds = ", ".join(sorted(BY_SUFFIX))
    if not found.unreadable:
        return DataError(
            ErrorCode.INSUFFICIENT_DATA,
            f"{place} holds no document",
            f"put documents there ({kinds}), or give another folder",
        )
    first = found.unreadable[0]
    return DataError(
        ErrorCode.INSUFFICIENT_DATA,
        f"none of the {len(found.unreadable)} documents in {place} can be read; the first: {first.reason}",
        first.remedy,
    )
