"""Bytes of an HTML, Markdown or text file → text with LF line ends."""

from __future__ import annotations

import codecs

from loquela.core.errors import ErrorCode
from loquela.data.documents.contract import document_error

BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def decoded(raw: bytes, name: str, *, declared: str | None = None) -> tuple[str, list[str]]:
    """The text, and a warning where it is not plain UTF-8: a byte order mark, then `declared`, then UTF-8 decide.

    Raises DataError(ENCODING_ERROR) where nothing fits.
    """
    for mark, encoding in BOMS:
        if raw.startswith(mark):
            return raw[len(mark) :].decode(encoding), []
    try:
        return raw.decode("utf-8"), []
    except UnicodeDecodeError as error:
        found = declared or "cp1252"
        try:
            return raw.decode(found), [f"not UTF-8 (byte {error.start}): read as {found}"]
        except (UnicodeDecodeError, LookupError) as second:
            raise document_error(
                name,
                ErrorCode.ENCODING_ERROR,
                f"is neither UTF-8 nor {found}: {second}",
                "convert it to UTF-8",
            ) from second
