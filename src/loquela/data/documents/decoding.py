"""Bytes of an HTML, Markdown or text file → text, with the evidence where they are not plain UTF-8."""

from __future__ import annotations

from loquela.core.errors import ErrorCode
from loquela.data.documents.contract import document_error
from loquela.data.encoding.fallback import choose_encoding


def decoded(raw: bytes, name: str, *, declared: str | None, language: str | None) -> tuple[str, list[str]]:
    """The text without a byte order mark, and a warning where it is not UTF-8.

    Raises DataError(ENCODING_ERROR) where no encoding fits all of it.
    """
    choice = choose_encoding(raw, declared=declared, language=language)
    try:
        text = raw.decode(choice.encoding)
    except UnicodeDecodeError as error:
        raise document_error(
            name,
            ErrorCode.ENCODING_ERROR,
            f"is not {error.encoding.upper()} throughout: byte 0x{error.object[error.start]:02x} at offset "
            f"{error.start:,} ({error.reason})",
            "save it as UTF-8 in the program that wrote it, or remove it from data.sources",
            byte=error.start,
        ) from error
    warnings = [] if choice.encoding == "utf-8" else [f"read as {choice.encoding}: {choice.evidence}"]
    return text.removeprefix("\ufeff"), warnings
