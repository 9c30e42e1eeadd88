"""What kind of document a file is: by its first bytes where they tell, else by what is declared, else by its name."""

from __future__ import annotations

import zipfile
from pathlib import Path

from loquela.core.errors import DataError, ErrorCode
from loquela.data.documents.contract import document_error

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
HTML = "text/html"
MARKDOWN = "text/markdown"
EPUB = "application/epub+zip"
TEXT = "text/plain"

BY_SUFFIX = {
    ".pdf": PDF,
    ".docx": DOCX,
    ".docm": DOCX,
    ".html": HTML,
    ".htm": HTML,
    ".xhtml": HTML,
    ".md": MARKDOWN,
    ".markdown": MARKDOWN,
    ".epub": EPUB,
    ".txt": TEXT,
    ".text": TEXT,
}
ALSO_CALLED = {"application/xhtml+xml": HTML, "application/x-pdf": PDF, "text/x-markdown": MARKDOWN}
DOCUMENT_SUFFIXES = frozenset(suffix for suffix, media_type in BY_SUFFIX.items() if media_type != TEXT)
"""Suffixes of files that `load_document` reads and that are not plain text."""

CONVERTIBLE = {
    ".doc": "docx",
    ".rtf": "docx",
    ".odt": "docx",
    ".ott": "docx",
    ".pages": "docx",
    ".ppt": "pdf",
    ".pptx": "pdf",
    ".odp": "pdf",
    ".xls": "csv",
    ".xlsx": "csv",
    ".ods": "csv",
    ".djvu": "pdf",
    ".ps": "pdf",
    ".mobi": "epub",
    ".azw3": "epub",
    ".fb2": "epub",
}
HEAD_BYTES = 2048
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ZIP = b"PK\x03\x04"
HTML_STARTS = (b"<!doctype html", b"<html", b"<head", b"<body")


def media_type_of(path: Path, declared: str | None, name: str) -> str:
    """The media type of the document in `path`, which is called `name` where people see it.

    Raises DataError: UNSUPPORTED_FORMAT for what no loader reads, AUTH_FAILED for an encrypted Office file.
    """
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    found = _by_content(path, head, name)
    if found is not None:
        return found
    said = _declared(declared)
    if said is None or said == TEXT:
        said = BY_SUFFIX.get(Path(name).suffix.lower()) or BY_SUFFIX.get(path.suffix.lower()) or said
    if said in (PDF, DOCX, EPUB):
        looks = "it holds HTML" if head.lstrip().lower().startswith(HTML_STARTS) else f"it begins with {head[:8]!r}"
        raise document_error(
            name,
            ErrorCode.CORRUPT_DATA,
            f"is called {said} but is not: {looks}" if head else "is empty: it has 0 bytes",
            "fetch the file again, or remove it from data.sources",
        )
    if said is None:
        said = HTML if head.lstrip().lower().startswith(HTML_STARTS) else None
    if said is None:
        raise _unsupported(name)
    return said


def _declared(declared: str | None) -> str | None:
    """The media type that a server or recipe declares, without its parameters; None for one that says nothing."""
    said = (declared or "").partition(";")[0].strip().lower()
    said = ALSO_CALLED.get(said, said)
    return said if said in BY_SUFFIX.values() else None


def _by_content(path: Path, head: bytes, name: str) -> str | None:
    """What the first bytes prove."""
    if b"%PDF-" in head[:1024]:
        return PDF
    if head.startswith(OLE):
        raise _ole(path, name)
    if not head.startswith(ZIP):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        if Path(name).suffix.lower() not in (".docx", ".docm", ".epub"):
            return None
        raise document_error(
            name,
            ErrorCode.CORRUPT_DATA,
            f"is a damaged or cut-off zip container: {error}",
            "fetch the file again, or open it in the program that wrote it and save it anew",
        ) from error
    if "META-INF/container.xml" in names:
        return EPUB
    if any(part.startswith("word/") for part in names):
        return DOCX
    if any(part.startswith(("xl/", "ppt/")) for part in names):
        raise _unsupported(name)
    return None


def _ole(path: Path, name: str) -> DataError:
    """An OLE container is an old Office file or a new one that is encrypted."""
    data = path.read_bytes()[: 1 << 26]
    if "EncryptedPackage".encode("utf-16-le") in data:
        return document_error(
            name,
            ErrorCode.AUTH_FAILED,
            "is an encrypted Office document, which no loader opens",
            "open it in its program and save it without a password",
        )
    return document_error(
        name,
        ErrorCode.UNSUPPORTED_FORMAT,
        "is in the old binary format of Microsoft Office (before .docx)",
        f"convert it: soffice --headless --convert-to docx {path.name}",
    )


def _unsupported(name: str) -> DataError:
    suffix = Path(name).suffix.lower()
    target = CONVERTIBLE.get(suffix)
    return document_error(
        name,
        ErrorCode.UNSUPPORTED_FORMAT,
        f"is no document that can be read (suffix {suffix or 'none'}); read are: {' '.join(sorted(BY_SUFFIX))}",
        f"convert it: soffice --headless --convert-to {target} {Path(name).name}"
        if target and target != "epub"
        else "convert it to PDF, DOCX, HTML, Markdown, EPUB or text, or remove it from data.sources",
        suffix=suffix,
    )
