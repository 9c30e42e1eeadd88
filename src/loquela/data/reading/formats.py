"""Which of the readable formats an object has: what is declared, its first bytes, its suffix."""

from __future__ import annotations

from loquela.core.errors import DataError, ErrorCode
from loquela.core.near_names import unknown_name

RECORD_FORMATS = ("txt", "json", "jsonl", "csv", "tsv", "parquet", "arrow")

SUFFIXES = {
    ".txt": "txt",
    ".text": "txt",
    ".md": "txt",
    ".markdown": "txt",
    ".rst": "txt",
    ".srt": "txt",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
PARQUET_MAGIC = b"PAR1"
ARROW_MAGIC = b"ARROW1"
# An Arrow IPC stream starts with a continuation marker and the length of its schema message.
ARROW_STREAM_MAGIC = b"\xff\xff\xff\xff"
BLANK = b" \t\r\n"
UTF8_MARK = b"\xef\xbb\xbf"


def format_of(name: str, first_bytes: bytes, declared: str | None) -> str:
    """The format of the object `name`: one of `RECORD_FORMATS`.

    A declared format holds (unless the bytes are plainly those of a binary one). Magic bytes go before the suffix, and
    a `.json` file whose first line is a whole value, followed by another one, is JSON Lines, as many are. What nothing
    tells is "txt". Raises DataError(UNSUPPORTED_FORMAT) for a declared format that nobody knows, or for bytes
    that contradict it.
    """
    magic = _magic(first_bytes)
    if declared is not None:
        return _declared(name, declared, magic)
    if magic is not None:
        return magic
    named = SUFFIXES.get(_suffix(name), "txt")
    return _json_form(first_bytes) if named == "json" else named


def _declared(name: str, declared: str, magic: str | None) -> str:
    if declared not in RECORD_FORMATS:
        raise DataError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"{name}: {unknown_name('format', declared, RECORD_FORMATS)}",
            f"set format to one of: {', '.join(RECORD_FORMATS)}",
            details={"source": name, "format": declared},
        )
    if (magic or declared in ("parquet", "arrow")) and magic != declared:
        found = f"its bytes are {magic}" if magic else f"its bytes are no {declared}"
        raise DataError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"{name} is declared as {declared}, but {found}",
            f"set format: {magic}" if magic else "correct the format, or remove it to have it told by the bytes",
            details={"source": name, "format": declared, "found": magic},
        )
    return declared


def _magic(first_bytes: bytes) -> str | None:
    if first_bytes.startswith(PARQUET_MAGIC):
        return "parquet"
    if first_bytes.startswith((ARROW_MAGIC, ARROW_STREAM_MAGIC)):
        return "arrow"
    return None


def _suffix(name: str) -> str:
    dot = name.rfind(".")
    return name[dot:].lower() if dot > max(name.rfind("/"), name.rfind("!")) else ""


def _json_form(first_bytes: bytes) -> str:
    """ "jsonl" for one value a line, "json" for one array or object over the whole file."""
    line, _, rest = first_bytes.removeprefix(UTF8_MARK).lstrip(BLANK).partition(b"\n")
    for opening, closing in ((b"{", b"}"), (b"[", b"]")):
        if line.startswith(opening):
            return "jsonl" if line.rstrip().endswith(closing) and rest.lstrip(BLANK).startswith(opening) else "json"
    return "json"
