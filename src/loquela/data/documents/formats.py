"""Which reader makes a draft of which media type; imported where it is used, so that each library loads on demand."""

from __future__ import annotations

from collections.abc import Callable

from loquela.core.entry import resolve
from loquela.core.errors import ErrorCode
from loquela.data.documents import media_types
from loquela.data.documents.contract import LoadedDocument, LoadRequest, document_error
from loquela.data.documents.draft import Draft, finished
from loquela.data.documents.media_types import media_type_of

Reader = Callable[[LoadRequest], Draft]
MEGABYTE = 1 << 20

READERS = {
    media_types.PDF: "loquela.data.documents.pdf:read_pdf",
    media_types.DOCX: "loquela.data.documents.docx:read_docx",
    media_types.EPUB: "loquela.data.documents.epub:read_epub",
    media_types.HTML: "loquela.data.documents.html:read_html",
    media_types.MARKDOWN: "loquela.data.documents.markdown:read_markdown",
    media_types.TEXT: "loquela.data.documents.plain_text:read_text",
}


def read_document(request: LoadRequest) -> LoadedDocument:
    """The document; DataError where it has no text, is too large or cannot be read."""
    media_type = media_type_of(request.path, request.media_type, request.name)
    size = request.path.stat().st_size
    if size > request.options.file_mb_max * MEGABYTE:
        raise document_error(
            request.name,
            ErrorCode.INSUFFICIENT_RESOURCES,
            f"has {size / MEGABYTE:,.0f} MB; data.documents.file_mb_max is {request.options.file_mb_max:,}",
            "raise data.documents.file_mb_max, or remove the document from data.sources",
            size_bytes=size,
        )
    draft = _reader(media_type)(request)
    if draft.is_blank():
        raise document_error(
            request.name,
            ErrorCode.INSUFFICIENT_DATA,
            "is empty: it holds no text at all",
            "remove it from data.sources",
        )
    return finished(draft, media_type)


def _reader(media_type: str) -> Reader:
    reader: Reader = resolve(READERS[media_type])
    return reader
