"""The styles of a DOCX: which paragraphs are headings, and which are numbered by their style."""

from __future__ import annotations

import re
from dataclasses import dataclass

from loquela.data.documents.xml_tree import Element, attribute, child, children

HEADING_NAME = re.compile(r"heading (\d)", re.IGNORECASE)
BODY_LEVEL = 9  # w:outlineLvl: 0 to 8 are headings


@dataclass(frozen=True)
class Style:
    """What is read of a paragraph's style: heading level from 1 (0: none), and its numbering properties."""

    heading: int = 0
    numbering: Element | None = None


class Styles:
    """The style sheet (`styles.xml`); a document may have none."""

    def __init__(self, root: Element | None) -> None:
        self._by_id: dict[str, Element] = {}
        if root is not None:
            self._by_id = {attribute(style, "styleId") or "": style for style in children(root, "style")}

    def of(self, properties: Element | None) -> Style:
        """The style of the paragraph with these properties (w:pPr)."""
        if properties is None:
            return Style()
        own = _outline(properties)
        named = child(properties, "pStyle")
        chain = self._chain(attribute(named, "val") or "") if named is not None else []
        levels = [own, *(level for style in chain for level in (_style_level(style),))]
        heading = next((level for level in levels if level is not None), 0)
        numbering = next((found for style in chain if (found := child(style, "pPr", "numPr")) is not None), None)
        return Style(heading, numbering)

    def _chain(self, style_id: str) -> list[Element]:
        """The style and those it is based on."""
        chain: list[Element] = []
        while (style := self._by_id.get(style_id)) is not None and style not in chain:
            chain.append(style)
            base = child(style, "basedOn")
            style_id = (attribute(base, "val") or "") if base is not None else ""
        return chain


def _outline(properties: Element) -> int | None:
    """Heading level that w:outlineLvl states, from 1; 0 for body text; None where it states none."""
    level = child(properties, "outlineLvl")
    value = attribute(level, "val") if level is not None else None
    if value is None or not value.isdecimal():
        return None
    return 0 if int(value) >= BODY_LEVEL else int(value) + 1


def _style_level(style: Element) -> int | None:
    """Heading level of one style by its built-in name (the same in every language of Word) or outline level."""
    named = child(style, "name")
    name = (attribute(named, "val") or "") if named is not None else ""
    if match := HEADING_NAME.fullmatch(name):
        return int(match[1])
    if name.lower() == "title":
        return 1
    properties = child(style, "pPr")
    return _outline(properties) if properties is not None else None
