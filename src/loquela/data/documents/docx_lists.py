"""The lists of a DOCX: the bullet or number that a program would draw before a paragraph."""

from __future__ import annotations

from dataclasses import dataclass

from loquela.data.documents.xml_tree import Element, attribute, child, children

LEVELS = 9


@dataclass(frozen=True)
class Marker:
    """What stands before an item, and how deep it is nested (from 0)."""

    text: str
    level: int


class Lists:
    """The numbering definitions (`numbering.xml`) and how far each list has counted."""

    def __init__(self, root: Element | None) -> None:
        self._counts: dict[tuple[str, int], int] = {}
        self._abstract: dict[str, Element] = {}
        self._used: dict[str, str] = {}
        if root is None:
            return
        for definition in children(root, "abstractNum"):
            self._abstract[attribute(definition, "abstractNumId") or ""] = definition
        for number in children(root, "num"):
            link = child(number, "abstractNumId")
            self._used[attribute(number, "numId") or ""] = (attribute(link, "val") or "") if link is not None else ""

    def marker(self, properties: Element | None, of_style: Element | None) -> Marker | None:
        """The marker of the next paragraph with these properties; None for one that is no item.

        Numbers count from the list's start; formats other than bullets (roman, letters) are written as numbers.
        """
        own = child(properties, "numPr") if properties is not None else None
        numbering = own if own is not None else of_style
        if numbering is None:
            return None
        number = _value(numbering, "numId") or (_value(of_style, "numId") if of_style is not None else None) or "0"
        if number == "0":  # ECMA-376 17.9.18: 0 takes a paragraph out of the list of its style
            return None
        level = min(int(_value(numbering, "ilvl") or 0), LEVELS - 1)
        definition = self._level(number, level)
        form = _value(definition, "numFmt") if definition is not None else "bullet"
        if form in ("bullet", "none", None):
            return Marker("-", level)
        start = int((_value(definition, "start") if definition is not None else None) or 1)
        count = self._counts.get((number, level), start - 1) + 1
        self._counts[number, level] = count
        for deeper in range(level + 1, LEVELS):
            self._counts.pop((number, deeper), None)
        return Marker(f"{count}.", level)

    def _level(self, number: str, level: int) -> Element | None:
        definition = self._abstract.get(self._used.get(number, ""))
        if definition is None:
            return None
        return next((lvl for lvl in children(definition, "lvl") if attribute(lvl, "ilvl") == str(level)), None)


def _value(element: Element, name: str) -> str | None:
    """The value of a numeric or named property below `element`."""
    found = child(element, name)
    return attribute(found, "val") if found is not None else None
