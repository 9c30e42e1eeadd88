"""Thin typed adapter around lxml: trees that load nothing from anywhere and expand no entity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from loquela.core.errors import ErrorCode
from loquela.core.extras import require
from loquela.data.documents.contract import document_error


class Element(Protocol):
    """What is used of lxml's elements; a comment or an instruction has a tag that is no string."""

    tag: object
    text: str | None
    tail: str | None

    def get(self, key: str) -> str | None:
        """An attribute."""

    def iter(self) -> Iterator[Element]:
        """This element and all below it, in document order."""

    def __iter__(self) -> Iterator[Element]:
        """The children."""


def local_name(element: Element) -> str:
    """The tag without its namespace; empty for comments and instructions."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def attribute(element: Element, name: str) -> str | None:
    """The attribute called `name` in any namespace."""
    plain = element.get(name)
    if plain is not None:
        return plain
    names: Iterable[str] = getattr(element, "attrib", {})
    return next((element.get(key) for key in names if key.rpartition("}")[2] == name), None)


def children(element: Element, name: str) -> Iterator[Element]:
    """Direct children called `name`, whatever their namespace."""
    return (child for child in element if local_name(child) == name)


def child(element: Element, *path: str) -> Element | None:
    """The first descendant along `path`, or None."""
    found: Element | None = element
    for name in path:
        found = next(children(found, name), None) if found is not None else None
    return found


def parse_xml(raw: bytes, name: str) -> Element:
    """The root of an XML part; DataError(CORRUPT_DATA) where it is damaged or declares entities.

    Office files and EPUB packages never need a document type; one that declares entities is an attack
    ("billion laughs") or a mistake.
    """
    etree = require("lxml.etree", extra="documents", purpose="reading XML, HTML, DOCX and EPUB")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False)
    remedy = "open it in the program that wrote it and save it anew, or remove it from data.sources"
    try:
        root: Element = etree.fromstring(raw, parser)
        document_type = etree.ElementTree(root).docinfo.internalDTD
        declared = document_type is not None and any(True for _ in document_type.iterentities())
    except etree.LxmlError as error:
        raise document_error(name, ErrorCode.CORRUPT_DATA, f"holds damaged XML: {error}", remedy) from error
    if declared:
        raise document_error(name, ErrorCode.CORRUPT_DATA, "declares XML entities, which no document needs", remedy)
    return root


def parse_html(text: str) -> Element | None:
    """The root of an HTML page, repaired as browsers do; None where there is nothing in it."""
    etree = require("lxml.etree", extra="documents", purpose="reading XML, HTML, DOCX and EPUB")
    # huge_tree: without it, libxml2 stops at a depth of 256 and the rest of the page would be lost unseen.
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=True)
    raw = text.encode("utf-8", "replace")
    if not raw.strip():
        return None
    root: Element | None = etree.fromstring(raw, parser)
    return root


def walk(root: Element) -> Iterator[tuple[str, Element]]:
    """("start" or "end", element) in document order, however deep the tree."""
    etree = require("lxml.etree", extra="documents", purpose="reading XML, HTML, DOCX and EPUB")
    events: Iterator[tuple[str, Element]] = etree.iterwalk(root, events=("start", "end"))
    return events
