"""EPUB → the text of its spine, in reading order; each file of the spine is a page. The format: EPUB 3.3, OPF 2."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote

from loquela.core.errors import ErrorCode
from loquela.data.documents.blocks import render
from loquela.data.documents.contract import LoadRequest, document_error
from loquela.data.documents.decoding import decoded
from loquela.data.documents.draft import Draft
from loquela.data.documents.html import declared_charset, html_blocks
from loquela.data.documents.xml_tree import Element, child, children, local_name, parse_html, parse_xml
from loquela.data.documents.zip_parts import ZipParts

CONTAINER = "META-INF/container.xml"
ENCRYPTION = "META-INF/encryption.xml"
PAGE_TYPES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")
FONT_MANGLING = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")


def read_epub(request: LoadRequest) -> Draft:
    """The book's text; DataError: CORRUPT_DATA, AUTH_FAILED (copy protection), INSUFFICIENT_RESOURCES."""
    with ZipParts(request) as parts:
        _refuse_protected(parts, request)
        package_name = _package_name(parts, request)
        package = parse_xml(parts.read(package_name), request.name)
        pages: list[str] = []
        warnings: list[str] = []
        for name in _spine(package, posixpath.dirname(package_name)):
            if name not in parts:
                warnings.append(f"its spine names {name}, which is not there")
                pages.append("")
                continue
            raw = parts.read(name)
            text, notes = decoded(raw, request, declared=declared_charset(raw), name=f"{request.name}!/{name}")
            root = parse_html(text)
            pages.append(render(html_blocks(root), request.options) if root is not None else "")
            warnings += [f"{name}: {note}" for note in notes]
        return Draft(pages, paged=True, warnings=warnings, metadata=_metadata(package))


def _refuse_protected(parts: ZipParts, request: LoadRequest) -> None:
    """Mangled fonts are harmless; any other encryption hides the text."""
    raw = parts.read_if_there(ENCRYPTION)
    if raw is None:
        return
    for element in parse_xml(raw, request.name).iter():
        if local_name(element) == "EncryptionMethod" and element.get("Algorithm") not in FONT_MANGLING:
            raise document_error(
                request.name,
                ErrorCode.AUTH_FAILED,
                "is copy-protected (DRM): its text is encrypted",
                "use an edition without copy protection",
            )


def _package_name(parts: ZipParts, request: LoadRequest) -> str:
    root = child(parse_xml(parts.read(CONTAINER), request.name), "rootfiles", "rootfile")
    name = root.get("full-path") if root is not None else None
    if not name:
        raise document_error(
            request.name,
            ErrorCode.CORRUPT_DATA,
            f"is no whole EPUB: {CONTAINER} names no package",
            "fetch it again, or convert it with a program for electronic books",
        )
    return name


def _spine(package: Element, folder: str) -> list[str]:
    """Names of the files to read, in order, without the table of contents."""
    manifest, spine = child(package, "manifest"), child(package, "spine")
    if manifest is None or spine is None:
        return []
    items = {item.get("id") or "": item for item in children(manifest, "item")}
    named = [
        items[reference] for entry in children(spine, "itemref") if (reference := entry.get("idref") or "") in items
    ]
    return [
        posixpath.normpath(posixpath.join(folder, unquote((item.get("href") or "").partition("#")[0])))
        for item in named
        if item.get("media-type") in PAGE_TYPES and "nav" not in (item.get("properties") or "").split()
    ]


def _metadata(package: Element) -> dict[str, str]:
    wanted = {"title": "title", "creator": "author", "language": "language", "date": "date", "rights": "rights"}
    found: dict[str, str] = {}
    about = child(package, "metadata")
    for entry in about if about is not None else ():
        if (ours := wanted.get(local_name(entry))) and entry.text:
            found.setdefault(ours, entry.text)
    return found
