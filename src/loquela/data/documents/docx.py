"""DOCX → blocks: paragraphs, headings, lists, tables, text boxes and notes in the order a reader meets them.

Text boxes follow the paragraph that anchors them; notes stand at the end. Headers and footers, deleted and hidden text
are left out; insertions not yet accepted are kept. The format: ECMA-376 part 1, WordprocessingML.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field

from loquela.data.documents.blocks import Block, Table, render
from loquela.data.documents.contract import LoadRequest
from loquela.data.documents.docx_lists import Lists
from loquela.data.documents.docx_styles import Styles
from loquela.data.documents.draft import Draft
from loquela.data.documents.xml_tree import Element, attribute, child, children, local_name, parse_xml
from loquela.data.documents.zip_parts import ZipParts

MAIN_PART = "word/document.xml"
UNREAD = frozenset(
    "del moveFrom delText instrText delInstrText pPr rPr tblPr trPr tcPr sectPr sdtPr sdtEndPr rt proofErr "
    "bookmarkStart bookmarkEnd Fallback docPr annotationRef".split()
)
"""Properties, deletions, field codes, the reading aid of ruby, and the second copy that old programs read."""


@dataclass
class _Words:
    """What stands in one paragraph, and the boxes anchored in it."""

    text: list[str] = field(default_factory=list)
    boxes: list[Element] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)


def read_docx(request: LoadRequest) -> Draft:
    """The document's text; DataError: CORRUPT_DATA, AUTH_FAILED, INSUFFICIENT_RESOURCES."""
    with ZipParts(request) as parts:
        main = _main_part(parts, request.name)
        reader = _DocxReader(parts, posixpath.dirname(main), request)
        body = child(parse_xml(parts.read(main), request.name), "body")
        blocks = reader.blocks(body) if body is not None else []
        blocks += reader.notes()
        warnings = [f"{reader.hidden} runs of hidden text were left out"] if reader.hidden else []
        return Draft([render(blocks, request.options)], warnings=warnings, metadata=_properties(parts, request.name))


def _main_part(parts: ZipParts, name: str) -> str:
    """The part that the package says is its document."""
    raw = parts.read_if_there("_rels/.rels")
    if raw is not None:
        for relation in parse_xml(raw, name):
            if (relation.get("Type") or "").endswith("/officeDocument"):
                return (relation.get("Target") or MAIN_PART).lstrip("/")
    return MAIN_PART


def _properties(parts: ZipParts, name: str) -> dict[str, str]:
    raw = parts.read_if_there("docProps/core.xml")
    if raw is None:
        return {}
    wanted = {"title": "title", "creator": "author", "subject": "subject", "language": "language", "created": "created"}
    found = {local_name(entry): entry.text or "" for entry in parse_xml(raw, name)}
    return {ours: found[theirs] for theirs, ours in wanted.items() if theirs in found}


class _DocxReader:
    """Walks the document once, with the styles, numbering, notes and comments beside it."""

    def __init__(self, parts: ZipParts, folder: str, request: LoadRequest) -> None:
        def part(file: str) -> Element | None:
            raw = parts.read_if_there(posixpath.join(folder, file))
            return parse_xml(raw, request.name) if raw is not None else None

        self.styles = Styles(part("styles.xml"))
        self.lists = Lists(part("numbering.xml"))
        self.hidden = 0
        self._parts_of_notes = {"footnote": part("footnotes.xml"), "endnote": part("endnotes.xml")}
        self._cited: list[tuple[str, str]] = []
        labelled = request.options.docx_comments == "label"
        self._comments = _by_id(part("comments.xml"), "comment") if labelled else {}

    def blocks(self, container: Element) -> list[Block | Table]:
        """What stands in a body, cell, text box or note."""
        found: list[Block | Table] = []
        for element in container:
            name = local_name(element)
            if name == "p":
                found += self._paragraph(element)
            elif name == "tbl":
                found.append(self._table(element))
            elif name in ("sdt", "sdtContent", "ins", "moveTo", "customXml", "AlternateContent", "Choice"):
                found += self.blocks(element)
        return found

    def notes(self) -> list[Block | Table]:
        """The notes that the text cites, in that order, each with its mark."""
        found: list[Block | Table] = []
        done = 0
        while done < len(self._cited):  # a note may cite another
            kind, number = self._cited[done]
            done += 1
            note = _by_id(self._parts_of_notes[kind], kind).get(number)
            inside = self.blocks(note) if note is not None else []
            text = "\n".join(block.text.strip() for block in inside if isinstance(block, Block)).strip()
            if text:
                found.append(Block(f"{_mark(kind, number)}: {text}"))
        return found

    def _paragraph(self, paragraph: Element) -> list[Block | Table]:
        words = _Words()
        self._collect(paragraph, words)
        properties = child(paragraph, "pPr")
        style = self.styles.of(properties)
        text = "".join(words.text)
        found: list[Block | Table] = []
        if text.strip():
            marker = self.lists.marker(properties, style.numbering)
            if style.heading:
                found.append(Block(text, "heading", style.heading))
            elif marker is not None:
                found.append(Block(text, "item", marker.level, marker.text))
            else:
                found.append(Block(text))
        found += [Block(comment) for comment in words.comments]
        for box in words.boxes:
            found += self.blocks(box)
        return found

    def _collect(self, element: Element, words: _Words) -> None:
        """The text below `element`, without what no reader sees."""
        for part in element:
            name = local_name(part)
            if name == "t":
                words.text.append(part.text or "")
            elif name == "r" and self._is_hidden(part):
                self.hidden += 1
            elif name in ("footnoteReference", "endnoteReference"):
                self._cite(name.removesuffix("Reference"), attribute(part, "id") or "", words)
            elif name == "commentReference":
                self._comment(attribute(part, "id") or "", words)
            elif name == "txbxContent":
                words.boxes.append(part)
            elif name in SIGNS:
                words.text.append(SIGNS[name])
            elif name == "sym":
                words.text.append(_symbol(part))
            elif name not in UNREAD:
                self._collect(part, words)

    def _is_hidden(self, run: Element) -> bool:
        vanish = child(run, "rPr", "vanish")
        return vanish is not None and (attribute(vanish, "val") or "1") not in ("0", "false", "off")

    def _cite(self, kind: str, number: str, words: _Words) -> None:
        if (kind, number) not in self._cited:
            self._cited.append((kind, number))
        words.text.append(_mark(kind, number))

    def _comment(self, number: str, words: _Words) -> None:
        comment = self._comments.get(number)
        if comment is not None:
            text = " ".join(block.text.strip() for block in self.blocks(comment) if isinstance(block, Block))
            words.comments.append(f"[comment by {attribute(comment, 'author') or 'unknown'}: {text}]")

    def _table(self, table: Element) -> Table:
        rows: list[list[list[Block | Table]]] = []
        for row in _through(table, "tr"):
            cells: list[list[Block | Table]] = []
            for cell in _through(row, "tc"):
                continued = child(cell, "tcPr", "vMerge")
                goes_on = continued is not None and attribute(continued, "val") != "restart"
                cells.append([] if goes_on else self.blocks(cell))
                span = child(cell, "tcPr", "gridSpan")
                width = (attribute(span, "val") or "1") if span is not None else "1"
                cells += [[] for _ in range(min(int(width), 64) - 1)] if width.isdecimal() else []
            rows.append(cells)
        return Table(rows)


SIGNS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "\u2011", "softHyphen": ""}


def _through(element: Element, name: str) -> list[Element]:
    """Children called `name`, also those that content controls and marked changes wrap."""
    found: list[Element] = []
    for part in element:
        if local_name(part) == name:
            found.append(part)
        elif local_name(part) in ("sdt", "sdtContent", "ins", "moveTo", "customXml"):
            found += _through(part, name)
    return found


def _by_id(root: Element | None, name: str) -> dict[str, Element]:
    """Notes or comments by their id; the separators among notes are none."""
    if root is None:
        return {}
    return {attribute(entry, "id") or "": entry for entry in children(root, name) if attribute(entry, "type") is None}


def _mark(kind: str, number: str) -> str:
    return f"[^{number}]" if kind == "footnote" else f"[^e{number}]"


def _symbol(part: Element) -> str:
    """A character of a symbol font; those fonts put theirs at F000 to F0FF, where no meaning is known."""
    code = attribute(part, "char") or ""
    try:
        value = int(code, 16)
    except ValueError:
        return ""
    return "" if 0xE000 <= value <= 0xF8FF else chr(value)
