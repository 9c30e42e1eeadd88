"""Markdown → text: as it is, or without its marks. The format: CommonMark with tables."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from loquela.data.documents.blocks import Block, Table, render
from loquela.data.documents.contract import LoadRequest
from loquela.data.documents.decoding import decoded
from loquela.data.documents.draft import Draft

FRONT_MATTER = re.compile(r"---\n.*?\n(?:---|\.\.\.)\n", re.DOTALL)
TAG = re.compile(r"<[^>]*>")


def read_markdown(request: LoadRequest) -> Draft:
    """The text; DataError(ENCODING_ERROR) for bytes of no known encoding."""
    text, warnings = decoded(request.path.read_bytes(), request)
    if request.options.markup == "plain":
        return Draft([render(markdown_blocks(text), request.options)], warnings=warnings)
    return Draft([text], verbatim=True, warnings=warnings)


def markdown_blocks(text: str) -> list[Block | Table]:
    """Headings, paragraphs, items, code and tables, in order; a header of metadata (front matter) is none of them."""
    front = FRONT_MATTER.match(text)
    tokens = MarkdownIt("commonmark").enable("table").parse(text[front.end() :] if front else text)
    reader = _MarkdownBlocks()
    for token in tokens:
        reader.take(token)
    return reader.blocks


class _MarkdownBlocks:
    """Collects blocks while the parser's tokens go by."""

    def __init__(self) -> None:
        self.blocks: list[Block | Table] = []
        self._lists = 0
        self._marker: str | None = None
        self._heading = 0
        self._table: Table | None = None

    def take(self, token: Token) -> None:
        """The next token."""
        kind = token.type
        if kind == "heading_open":
            self._heading = int(token.tag[1:])
        elif kind == "heading_close":
            self._heading = 0
        elif kind in ("bullet_list_open", "ordered_list_open"):
            self._lists += 1
        elif kind in ("bullet_list_close", "ordered_list_close"):
            self._lists -= 1
        elif kind == "list_item_open":
            self._marker = f"{token.info}." if token.info else "-"
        elif kind == "table_open":
            self._table = Table()
            self.blocks.append(self._table)
        elif kind == "table_close":
            self._table = None
        elif kind == "tr_open" and self._table is not None:
            self._table.rows.append([])
        elif kind in ("fence", "code_block"):
            self.blocks.append(Block(token.content, "code"))
        elif kind == "html_block":
            self.blocks.append(Block(TAG.sub("", token.content)))
        elif kind == "inline":
            self._words(_plain(token.children or []))

    def _words(self, text: str) -> None:
        if self._table is not None:
            self._table.rows[-1].append([Block(text)])
        elif self._heading:
            self.blocks.append(Block(text, "heading", self._heading))
        elif self._marker is not None:
            self.blocks.append(Block(text, "item", max(0, self._lists - 1), self._marker))
            self._marker = None
        else:
            self.blocks.append(Block(text))


def _plain(tokens: Sequence[Token]) -> str:
    """The words of a line: link and image texts without addresses, no emphasis."""
    words: list[str] = []
    for token in tokens:
        if token.type in ("text", "code_inline"):
            words.append(token.content)
        elif token.type == "softbreak":
            words.append(" ")
        elif token.type == "hardbreak":
            words.append("\n")
        elif token.type == "image":
            words.append(_plain(token.children or []))
    return "".join(words)
