"""The pieces that DOCX, HTML, Markdown and EPUB have in common, and how they are written as text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from loquela.recipe.document_section import DocumentOptions

Markup = Literal["markdown", "plain"]
BLANK = re.compile(r"\s+")


@dataclass
class Block:
    """A heading, paragraph, list item, or code; `level` is that of a heading from 1, or the depth of an item from 0."""

    text: str
    kind: Literal["paragraph", "heading", "item", "code"] = "paragraph"
    level: int = 0
    marker: str = "-"


@dataclass
class Table:
    """Rows of cells; each cell is what stands in it, in order."""

    rows: list[list[list[Block | Table]]] = field(default_factory=list)

    @property
    def is_layout(self) -> bool:
        """Whether it only arranges text: one column, or tables in its cells."""
        if all(len(row) < 2 for row in self.rows):
            return True
        return any(isinstance(part, Table) for row in self.rows for cell in row for part in cell)


def render(parts: Iterable[Block | Table], options: DocumentOptions) -> str:
    """The text of `parts`: blocks a blank line apart, items and rows a line apart; ends with a line feed."""
    written: list[str] = []
    previous: str | None = None
    for kind, text in _written(parts, options.markup):
        if previous is not None:
            written.append("\n" if kind == previous == "item" else "\n\n")
        written.append(text)
        previous = kind
    return "".join(written) + "\n" if written else ""


def _written(parts: Iterable[Block | Table], markup: Markup) -> Iterable[tuple[str, str]]:
    for part in parts:
        if isinstance(part, Block):
            text = part.text.strip("\n" if part.kind == "code" else None)
            if text.strip():
                yield part.kind, _marked(part, text) if markup == "markdown" else text
        elif part.is_layout:
            yield from _written((inner for row in part.rows for cell in row for inner in cell), markup)
        elif rows := [row for row in (_cells(row, markup) for row in part.rows) if any(row)]:
            yield "table", _markdown_table(rows) if markup == "markdown" else "\n".join("\t".join(row) for row in rows)


def _marked(block: Block, text: str) -> str:
    if block.kind == "heading":
        return f"{'#' * min(block.level, 6)} {BLANK.sub(' ', text)}"
    if block.kind == "item":
        return f"{'  ' * block.level}{block.marker} {text}"
    if block.kind == "code":
        fence = "`" * max(3, max((len(run) for run in re.findall("`+", text)), default=0) + 1)
        return f"{fence}\n{text}\n{fence}"
    return text


def _cells(row: list[list[Block | Table]], markup: Markup) -> list[str]:
    """Each cell on one line."""
    return [
        BLANK.sub(" ", " ".join(text for _, text in _written(_unmarked(cell), markup))).strip().replace("|", "\\|")
        if markup == "markdown"
        else BLANK.sub(" ", " ".join(text for _, text in _written(cell, markup))).strip()
        for cell in row
    ]


def _unmarked(cell: list[Block | Table]) -> list[Block | Table]:
    """A cell has no headings and no code blocks of its own."""
    return [Block(part.text) if isinstance(part, Block) else part for part in cell]


def _markdown_table(rows: list[list[str]]) -> str:
    width = max(len(row) for row in rows)
    lines = [f"| {' | '.join([*row, *[''] * (width - len(row))])} |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])
