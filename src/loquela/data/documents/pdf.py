"""PDF → pages of text: pypdfium2, then pypdf where that fails or where the fonts hide their characters from it."""

from __future__ import annotations

from loquela.core.errors import DataError, ErrorCode
from loquela.data.documents.contract import LoadRequest, document_error
from loquela.data.documents.docling_text import read_with_docling
from loquela.data.documents.draft import Draft
from loquela.data.documents.garbled import GARBLED, garbled_score
from loquela.data.documents.pdf_contract import PdfText
from loquela.data.documents.pdf_layout import laid_out
from loquela.data.documents.pdf_structure import damage
from loquela.data.documents.pdfium import read_with_pdfium
from loquela.data.documents.pypdf_text import read_with_pypdf

MANY_BLANK_PAGES = 10


def read_pdf(request: LoadRequest) -> Draft:
    """The pages' text.

    Raises DataError: AUTH_FAILED (password), UNSUPPORTED_FORMAT (scanned, no text layer), CORRUPT_DATA (broken, or
    garbled by its fonts), READ_FAILED (too many pages).
    """
    if request.options.pdf_engine == "docling":
        return read_with_docling(request)
    read, warnings = _read(request)
    warnings += damage(request.path)
    if read.blank:
        raise _without_text(request, read)
    if read.scanned:
        shown = ", ".join(map(str, read.scanned[:MANY_BLANK_PAGES])) + (
            ", …" if len(read.scanned) > MANY_BLANK_PAGES else ""
        )
        warnings.append(f"{len(read.scanned)} of {len(read.pages)} pages are images without text (OCR needed): {shown}")
    pages, notes = laid_out(read.pages, request.options)
    return Draft(pages, paged=True, warnings=[*warnings, *read.warnings, *notes], metadata=read.metadata)


def _read(request: LoadRequest) -> tuple[PdfText, list[str]]:
    """The text of the engine that reads it best, and warnings about the choice."""
    engine = request.options.pdf_engine
    if engine == "pypdf":
        return _judged(request, read_with_pypdf(request), [])
    try:
        first = read_with_pdfium(request)
    except DataError as error:
        if engine == "pypdfium2" or error.code != ErrorCode.CORRUPT_DATA:
            raise
        return _judged(request, read_with_pypdf(request), [f"read with pypdf, because pypdfium2 says: {error.message}"])
    score = garbled_score(first.text, request.language)
    if engine == "pypdfium2" or first.blank or score < GARBLED:
        return _judged(request, first, [])
    try:
        second = read_with_pypdf(request)
    except DataError:
        return _judged(request, first, [])
    if garbled_score(second.text, request.language) < min(score, GARBLED) and not second.blank:
        return second, [f"read with pypdf, because pypdfium2 gives garbled characters (score {score:.2f})"]
    return _judged(request, first, [])


def _judged(request: LoadRequest, read: PdfText, warnings: list[str]) -> tuple[PdfText, list[str]]:
    """`read` with the verdict on its characters; DataError(CORRUPT_DATA) where garbled text is not wanted."""
    score = garbled_score(read.text, request.language)
    if score < GARBLED:
        return read, warnings
    if request.options.on_garbled == "warn":
        return read, [*warnings, f"the text looks garbled (score {score:.2f} of 1): its fonts hide the characters"]
    sample = " ".join(read.text.split())[:60]
    raise document_error(
        request.name,
        ErrorCode.CORRUPT_DATA,
        f"gives garbled text (score {score:.2f} of 1; {GARBLED:g} is the limit): its fonts do not say which characters "
        f"they draw. It begins {sample!r}",
        f"recognise the pages as images: ocrmypdf --force-ocr {request.path.name} out.pdf; or keep the text as it is "
        "with data.documents.on_garbled: warn",
        score=round(score, 4),
    )


def _without_text(request: LoadRequest, read: PdfText) -> DataError:
    pages = len(read.pages)
    if read.scanned:
        return document_error(
            request.name,
            ErrorCode.UNSUPPORTED_FORMAT,
            f"is scanned: its {pages} page(s) are images without a text layer, so there is no text to read",
            f"add one by optical character recognition: ocrmypdf {request.path.name} out.pdf; or set "
            "data.documents.pdf_engine: docling",
            pages=pages,
        )
    return document_error(
        request.name,
        ErrorCode.INSUFFICIENT_DATA,
        f"is empty: its {pages} page(s) hold neither text nor images",
        "remove it from data.sources",
        pages=pages,
    )
