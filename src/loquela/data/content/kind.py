"""What an object holds, by its first bytes and its name: records, a document, a web archive, or nothing we read."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Literal

from loquela.data.documents.media_types import DOCX, EPUB, HTML, MARKDOWN, PDF
from loquela.data.objects.archives import ZIP_MAGIC
from loquela.data.objects.unpacking import inner_name
from loquela.data.reading.formats import ARROW_MAGIC, PARQUET_MAGIC, RECORD_FORMATS, SUFFIXES, format_of

WARC_MAGIC = b"WARC/"
MEDIA_TYPES = {"pdf": PDF, "docx": DOCX, "epub": EPUB, "html": HTML, "markdown": MARKDOWN}
DOCUMENT_SUFFIXES = {
    ".pdf": "pdf",
    ".docx": "docx",
    ".docm": "docx",
    ".epub": "epub",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
}
MARKDOWN_SUFFIXES = (".md", ".markdown")
HTML_STARTS = (b"<!doctype html", b"<html", b"<head", b"<body")
PDF_PREFACE_BYTES = 1024


def kind_of(
    name: str, head: bytes, declared: str | None, *, markup: Literal["markdown", "plain"] = "markdown"
) -> str | None:
    """A name of `RECORD_FORMATS` or `MEDIA_TYPES`, "warc", or None where neither bytes nor name tell.

    `declared` holds, unless the bytes are plainly those of another format: then DataError(UNSUPPORTED_FORMAT). Files
    named as Markdown are text as they stand; under `markup` plain, which wants their marks gone, they are documents.
    """
    if declared is not None:
        return format_of(name, head, declared) if declared in RECORD_FORMATS else declared
    place = name.partition("?")[0] if "://" in name else name
    inner = inner_name(place)
    suffix = PurePosixPath(inner).suffix.lower()
    if head.startswith(WARC_MAGIC):
        return "warc"
    if b"%PDF-" in head[:PDF_PREFACE_BYTES]:
        return "pdf"
    if head.startswith(ZIP_MAGIC):
        return DOCUMENT_SUFFIXES.get(suffix)
    if head.startswith((PARQUET_MAGIC, ARROW_MAGIC)) or suffix in SUFFIXES:
        found = format_of(inner, head, None)
        return "markdown" if (found, markup) == ("txt", "plain") and suffix in MARKDOWN_SUFFIXES else found
    if suffix in DOCUMENT_SUFFIXES:
        return DOCUMENT_SUFFIXES[suffix]
    return "html" if head.lstrip()[:16].lower().startswith(HTML_STARTS) else None
