"""Thin typed adapter around pypdfium2."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from types import ModuleType
from typing import Protocol

from loquela.core.extras import require
from loquela.data.documents.contract import LoadRequest
from loquela.data.documents.pdf_contract import (
    PdfText,
    broken_error,
    check_page_count,
    kept_metadata,
    password_error,
    protected_error,
)
from loquela.data.documents.pdf_vertical import TextObject, vertical_text

CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


class TextPage(Protocol):
    """What is used of pypdfium2's text pages."""

    def get_text_range(self) -> str:
        """The whole text, lines ended by CR LF."""

    def close(self) -> None:
        """Free it."""


class Page(Protocol):
    """What is used of pypdfium2's pages."""

    def get_textpage(self) -> TextPage:
        """Its text."""

    def get_objects(self, filter: list[int], max_depth: int = 15) -> Iterator[TextObject]:
        """What is drawn on it."""

    def close(self) -> None:
        """Free it."""


class Document(Protocol):
    """What is used of pypdfium2's documents."""

    def __len__(self) -> int:
        """Number of pages."""

    def __getitem__(self, index: int) -> Page:
        """A page, from 0."""

    def get_metadata_dict(self) -> dict[str, str]:
        """What the document says of itself."""

    def close(self) -> None:
        """Free it."""


def read_with_pdfium(request: LoadRequest) -> PdfText:
    """Every page's text. Raises DataError: AUTH_FAILED, CORRUPT_DATA, READ_FAILED (too many pages)."""
    library = require("pypdfium2", extra="documents", purpose="reading PDF")
    raw = require("pypdfium2.raw", extra="documents", purpose="reading PDF")
    with closing(_open(request, library, raw)) as document:
        check_page_count(request, len(document))
        read = PdfText([], metadata=kept_metadata(document.get_metadata_dict()))
        lost: list[int] = []
        for index in range(len(document)):
            try:
                page = document[index]
            except library.PdfiumError:
                lost.append(index + 1)
                read.pages.append("")
                continue
            with closing(page):
                text = _text(page, raw)
                if not text.strip() and _has_images(page, raw):
                    read.scanned.append(index + 1)
            read.pages.append(text)
        if lost:
            read.warnings.append(f"{len(lost)} page(s) could not be opened: {', '.join(map(str, lost[:10]))}")
        return read


def _open(request: LoadRequest, library: ModuleType, raw: ModuleType) -> Document:
    try:
        document: Document = library.PdfDocument(request.path, password=request.password)
    except library.PdfiumError as error:
        code: int | None = getattr(error, "err_code", None)
        if code == raw.FPDF_ERR_PASSWORD:
            raise password_error(request) from error
        if code == raw.FPDF_ERR_SECURITY:
            raise protected_error(request) from error
        raise broken_error(request, str(error)) from error
    return document


def _text(page: Page, raw: ModuleType) -> str:
    with closing(page.get_textpage()) as text_page:
        text = text_page.get_text_range().replace("\r\n", "\n")
    if text.strip() and not CJK.search(text):
        return text
    return vertical_text(page, raw) or text


def _has_images(page: Page, raw: ModuleType) -> bool:
    return any(True for _ in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=5))
