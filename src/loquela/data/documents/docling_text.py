"""Thin typed adapter around docling: layout models and optical character recognition, where the package is installed.

It runs in the reading process like everything else; its models need more memory and time than the defaults allow.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from loquela.core.extras import require
from loquela.data.documents.contract import LoadRequest
from loquela.data.documents.draft import Draft
from loquela.data.documents.pdf_contract import broken_error, check_page_count


class Converted(Protocol):
    """What is used of docling's documents."""

    pages: Mapping[int, object]

    def export_to_markdown(self, *, page_no: int, strict_text: bool) -> str:
        """The text of a page; `strict_text` leaves the marks out."""


class Result(Protocol):
    """What is used of docling's results."""

    document: Converted
    errors: list[object]


class Converter(Protocol):
    """What is used of docling's converter."""

    def convert(self, source: Path, *, max_num_pages: int, max_file_size: int) -> Result:
        """Read a document."""


def read_with_docling(request: LoadRequest) -> Draft:
    """Every page's text. Raises ResourceError(MISSING_EXTRA); DataError (CORRUPT_DATA, READ_FAILED)."""
    library = require("docling.document_converter", extra="docling", purpose="data.documents.pdf_engine: docling")
    failures = require("docling.exceptions", extra="docling", purpose="data.documents.pdf_engine: docling")
    options = request.options
    converter: Converter = library.DocumentConverter()
    try:
        result = converter.convert(
            request.path, max_num_pages=options.pages_max, max_file_size=options.file_mb_max << 20
        )
    except failures.BaseError as error:
        raise broken_error(request, f"docling says: {error}") from error
    check_page_count(request, len(result.document.pages))
    plain = options.markup == "plain"
    return Draft(
        [
            result.document.export_to_markdown(page_no=number, strict_text=plain)
            for number in sorted(result.document.pages)
        ],
        paged=True,
        warnings=[str(getattr(error, "error_message", error)) for error in result.errors],
    )
