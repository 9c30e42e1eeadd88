"""Sources of examples → files → rows."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path

from loquela.core.digests import digest_bytes
from loquela.core.errors import DataError, ErrorCode, LoquelaError
from loquela.data.examples.faults import Place
from loquela.data.examples.rows import Row, json_line_rows, json_rows
from loquela.data.examples.tables import arrow_rows, delimited_rows, parquet_rows

SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".arrow", ".txt")


def example_files(source: str) -> list[Path]:
    """The files that a source names, in the order of their names: one file, a folder's, or a glob's.

    Raises DataError: DATA_NOT_FOUND when there is none, UNSUPPORTED_FORMAT for a file of another suffix.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return [_known(path)]
    if path.is_dir():
        found = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in SUFFIXES and file.is_file()]
    else:
        found = [Path(name) for name in sorted(glob.glob(str(path), recursive=True)) if Path(name).is_file()]
    if not found:
        raise DataError(
            ErrorCode.DATA_NOT_FOUND,
            f"examples.sources names {source}, where there is no file of examples",
            f"give a file, a folder or a glob of files that end in {', '.join(SUFFIXES)}",
            details={"source": source},
        )
    return [_known(file) for file in found]


def _known(path: Path) -> Path:
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"{path} is not a file of examples by its name: it ends in {path.suffix or 'nothing'!r}",
            f"give one that ends in {', '.join(SUFFIXES)}; documents belong in data.sources",
            details={"path": str(path)},
        )
    return path


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of one file; a .txt file is one row with the column `text`.

    Raises DataError: CORRUPT_DATA where the file's frame is damaged, ENCODING_ERROR (offset and line) for text that is
    not UTF-8, READ_FAILED for one that cannot be read.
    """
    source = str(path)
    match path.suffix.lower():
        case ".json":
            return json_rows(source, read_text(path))
        case ".jsonl" | ".ndjson":
            return json_line_rows(source, read_text(path))
        case ".csv":
            return delimited_rows(source, read_text(path), ",")
        case ".tsv":
            return delimited_rows(source, read_text(path), "\t")
        case ".parquet":
            return parquet_rows(source, path)
        case ".arrow":
            return arrow_rows(source, path)
        case _:
            return _text_row(source, read_text(path))


def _text_row(source: str, text: str) -> Iterator[Row]:
    yield Row(Place(source, 1, 1), {"text": text}, digest_bytes(text.encode("utf-8")))


def read_text(path: Path) -> str:
    """A file's text: UTF-8, a byte-order mark left out, line ends as LF."""
    data = read_bytes(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            ErrorCode.ENCODING_ERROR,
            f"{path}: the byte {data[error.start]:#04x} at {error.start} (line {line}) is not UTF-8",
            "save the file as UTF-8",
            details={"path": str(path), "offset": error.start, "line": line},
        ) from error
    return text.replace("\r\n", "\n")


def read_bytes(path: Path) -> bytes:
    """All of a file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> LoquelaError:
    return DataError(
        ErrorCode.READ_FAILED,
        f"cannot read {path}: {error.strerror or error}",
        "give a file that you may read",
        details={"path": str(path)},
    )
