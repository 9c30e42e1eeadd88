"""The corpus artifact: one JSON document a line, each with the split it was drawn into.

corpus/
  documents.jsonl   {"id": …, "text": …, "source": …, "language": …, "split": …, "lineage": {…}, …}
  ledger.json       counts at every arrow from source to split, with a reason for every loss
  manifest.json     kind "corpus"
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self

from pydantic import Field, ValidationError

from loquela.core.atomic import atomic_path, write_error
from loquela.core.errors import DataError, ErrorCode
from loquela.core.model import BoundaryModel

DOCUMENTS_NAME = "documents.jsonl"
LEDGER_NAME = "ledger.json"

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class Lineage(BoundaryModel):
    """Where a document came from, so that it can be read again and compared.

    `object` is the file, table or address that holds it and `record` its number there from 1. Characters
    [char_start, char_end) of that text, decoded and before normalisation, are the document; `text_sha256` is the digest
    of their UTF-8 bytes. Bytes [byte_start, byte_end) of the (decompressed) object are where it stands: its own bytes,
    or those of its record where characters cannot be told apart (then `raw_sha256` is their digest). `chunk` counts
    the documents of one text from 1; `pages` are the first and the last page. What a source cannot tell is None.
    """

    object: str
    record: int | None = None
    byte_start: int | None = None
    byte_end: int | None = None
    raw_sha256: str | None = None
    char_start: int
    char_end: int
    text_sha256: str
    chunk: int
    pages: tuple[int, int] | None = None


class Document(BoundaryModel):
    """A piece of text that is learnt from as a whole.

    `id` is a digest of the text; `source` names the file, address or generator that it came from; `language` is
    an ISO 639-1 code where it is known. Documents of one `group` (near duplicates, parts of one text that is held out
    whole) are always in the same split. `labels` are the columns that came along.
    """

    id: str
    text: str
    source: str
    language: str | None
    split: Split
    group: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    lineage: Lineage | None = None


class CorpusWriter:
    """Appends documents to `documents.jsonl`; the file appears when the `with` block ends without an error.

    `documents` and `bytes` count what was written by split (bytes are UTF-8 bytes of the texts).
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / DOCUMENTS_NAME
        self.documents: dict[Split, int] = dict.fromkeys(SPLITS, 0)
        self.bytes: dict[Split, int] = dict.fromkeys(SPLITS, 0)
        self._files = ExitStack()

    def __enter__(self) -> Self:
        temporary = self._files.enter_context(atomic_path(self.path))
        self._stream = self._files.enter_context(temporary.open("wb", buffering=1 << 20))
        return self

    def write(self, document: Document) -> None:
        """Append one document; ResourceError (DISK_FULL, …) when the file system refuses."""
        try:
            self._stream.write(document.model_dump_json().encode("utf-8") + b"\n")
        except OSError as error:
            raise write_error(error, self.path) from error
        self.documents[document.split] += 1
        self.bytes[document.split] += len(document.text.encode("utf-8"))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.__exit__(kind, error, trace)


def read_documents(
    directory: Path, split: str | None = None, *, within: tuple[int, int] | None = None
) -> Iterator[Document]:
    """Stream the documents of a corpus in written order, all of them or those of one split.

    `within` is a range of bytes of the file as `line_ranges` gives them. Raises DataError: DATASET_NOT_FOUND without
    the file, CORRUPTION (file and line, or byte) for a line that is no document.
    """
    path = directory / DOCUMENTS_NAME
    start, end = within or (0, None)
    with _opened(path) as stream:
        stream.seek(start)
        position = start
        for number, line in enumerate(stream, start=1):
            if end is not None and position >= end:
                return
            position += len(line)
            try:
                document = Document.model_validate_json(line)
            except ValidationError as error:
                place = f"line {number}" if start == 0 else f"the line that ends at byte {position}"
                raise DataError(
                    ErrorCode.CORRUPTION,
                    f"{path}, {place}, is not a document: {error.errors()[0]['msg']}",
                    f"delete {directory} and run the same command again; the ingest stage will run anew",
                    details={"path": str(path), "line": number, "byte": position},
                ) from error
            if split is None or document.split == split:
                yield document


def line_ranges(directory: Path, target_bytes: int) -> list[tuple[int, int]]:
    """The file of a corpus in ranges of whole lines, each of `target_bytes` and what completes its last line."""
    path = directory / DOCUMENTS_NAME
    ranges: list[tuple[int, int]] = []
    with _opened(path) as stream:
        size = stream.seek(0, 2)
        start = 0
        while start < size:
            stream.seek(min(size, start + target_bytes))
            stream.readline()
            ranges.append((start, stream.tell()))
            start = stream.tell()
    return ranges


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise DataError(
            ErrorCode.DATASET_NOT_FOUND,
            f"no corpus in {path.parent}: it has no {path.name}",
            "run the ingest stage (loquela run RECIPE), or give the folder that holds the corpus",
            details={"path": str(path.parent)},
        ) from error
