"""Thin typed adapter around pypdf: slow, in Python alone, and able to read some fonts that pypdfium2 cannot."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from loquela.core.extras import require
from loquela.data.documents.contract import LoadRequest
from loquela.data.documents.pdf_contract import (
    HYPHEN_BREAK,
    PdfText,
    broken_error,
    check_page_count,
    kept_metadata,
    password_error,
)

HYPHEN_AT_END = re.compile(r"(?<=\w)[-\u2010\u00ad][ \t]*\n(?=\w)")


class Page(Protocol):
    """What is used of pypdf's pages."""

    images: Sequence[object]

    def extract_text(self) -> str:
        """Its text."""


class Reader(Protocol):
    """What is used of pypdf's readers."""

    pages: Sequence[Page]
    is_encrypted: bool
    metadata: Mapping[str, object] | None

    def decrypt(self, password: str) -> int:
        """0 where the password is wrong."""


def read_with_pypdf(request: LoadRequest) -> PdfText:
    """Every page's text. Raises DataError: AUTH_FAILED, CORRUPT_DATA, READ_FAILED (too many pages)."""
    library = require("pypdf", extra="documents", purpose="reading PDF")
    failures = require("pypdf.errors", extra="documents", purpose="reading PDF")
    logging.getLogger("pypdf").setLevel(logging.ERROR)
    try:
        reader: Reader = library.PdfReader(request.path)
        if reader.is_encrypted and not reader.decrypt(request.password or ""):
            raise password_error(request)
        check_page_count(request, len(reader.pages))
        found = {name: str(value) for name, value in (reader.metadata or {}).items()}
        read = PdfText([], metadata=kept_metadata(found))
        for number, page in enumerate(reader.pages, 1):
            text = page.extract_text()
            if not text.strip() and len(page.images):
                read.scanned.append(number)
            read.pages.append(HYPHEN_AT_END.sub(HYPHEN_BREAK, text))
    except (
        failures.PyPdfError,
        NotImplementedError,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        raise broken_error(request, f"{type(error).__name__}: {error}") from error
    return read
