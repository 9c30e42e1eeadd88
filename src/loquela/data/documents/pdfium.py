"""PDF by pypdfium2."""

from __future__ import annotations

import re
from contextlib import closing
from types import ModuleType

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
from loquela.data.documents.pdf_vertical import vertical_text
from loquela.data.documents.pdfium_types import Document, Page

# A page of less may be one whose columns were lost, but for its number.
SHORT = 200
CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


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
    if len(text) > SHORT and not CJK.search(text):
        return text
    return vertical_text(page, raw) or text


def _has_images(page: Page, raw: ModuleType) -> bool:
    return any(True for _ in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=5))
