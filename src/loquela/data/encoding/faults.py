"""What is said when a text is stopped at: which byte, where, and the one command that mends it."""

from __future__ import annotations

import shlex

from loquela.core.errors import DataError, ErrorCode

CONTROL_BYTES = bytes(sorted({*range(0x20), 0x7F} - set(b"\t\n\r\f\x1b")))
# More control characters than this share of the head is no text of any encoding.
CONTROL_SHARE = 0.1


def require_text(head: bytes, name: str) -> None:
    """DataError(CORRUPT_DATA) when `head`, which is in no UTF-16, is binary by its control characters."""
    controls = len(head) - len(head.translate(None, CONTROL_BYTES))
    if controls > CONTROL_SHARE * len(head):
        raise binary(name, 0, 1, f"{controls} control characters in the {len(head)} bytes")


def binary(name: str, offset: int, line: int, what: str) -> DataError:
    """The error for data that is no text."""
    return DataError(
        ErrorCode.CORRUPT_DATA,
        f"{name} is binary or damaged, not text: {what} at byte {offset}, line {line}",
        "give a plain text file, or remove this one from data.sources",
        details={"source": name, "byte": offset, "line": line},
    )


def undecodable(
    name: str, path: str, encoding: str, line: int, line_offset: int, data: bytes, *, beyond_ascii_before: bool
) -> DataError:
    """The error for the `line` whose bytes are `data`, from `line_offset` in the text kept at `path`.

    `beyond_ascii_before` tells whether characters beyond ASCII before it are right: then converting the whole file
    would spoil them.
    """
    place, reason = 0, "invalid"
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        place, reason = error.start, error.reason
    offset = line_offset + place
    if beyond_ascii_before or not data[:place].isascii():
        look = f"to look at it: sed -n {line}p {shlex.quote(path)} | xxd"
        remedy = f"correct line {line}: what is before it is valid ({look})"
    else:
        likely = "WINDOWS-1252" if any(0x80 <= byte <= 0x9F for byte in data) else "ISO-8859-1"
        remedy = f"convert it: iconv -f {likely} -t UTF-8 {shlex.quote(path)} > {shlex.quote(path + '.utf8')}"
    return DataError(
        ErrorCode.ENCODING_ERROR,
        f"{name} is not {encoding.upper()}: byte 0x{data[place]:02x} at offset {offset}, line {line} ({reason})",
        remedy,
        details={"source": name, "byte": offset, "line": line, "encoding": encoding},
    )


def mostly_quarantined(name: str, bad_bytes: int, all_bytes: int, encoding: str) -> DataError:
    """The error for a text of which more was set aside than kept."""
    return DataError(
        ErrorCode.ENCODING_ERROR,
        f"{name} is hardly text in {encoding.upper()}: {bad_bytes:,} of its {all_bytes:,} bytes are in lines that do "
        "not decode",
        "declare its encoding (encoding of the source's entry), or convert it to UTF-8",
        details={"source": name, "bytes": all_bytes, "invalid_bytes": bad_bytes, "encoding": encoding},
    )
