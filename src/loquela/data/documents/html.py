"""HTML → blocks in reading order: everything a reader sees, nothing that a browser would not show."""

from __future__ import annotations

import re

from loquela.data.documents.blocks import Block, Table, render
from loquela.data.documents.contract import LoadRequest
from loquela.data.documents.decoding import decoded
from loquela.data.documents.draft import Draft
from loquela.data.documents.xml_tree import Element, local_name, parse_html, walk
from loquela.data.web_text import main_text

SPACE = re.compile(r"[ \t\n\r\f]+")
META_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]+)""", re.IGNORECASE)
XML_ENCODING = re.compile(rb"""^\s*<\?xml[^>]{0,100}?encoding\s*=\s*["']([A-Za-z0-9_.:-]+)""")
UNSEEN = frozenset(
    "head script style template noscript iframe object embed applet audio video canvas svg map datalist title meta "
    "link base annotation annotation-xml".split()
)
BLOCKS = frozenset(
    "address article aside blockquote body center dd details dialog div dl dt fieldset figcaption figure footer form "
    "header hgroup hr html legend li main menu nav ol optgroup option p pre search section select summary table tbody "
    "td tfoot th thead tr ul caption h1 h2 h3 h4 h5 h6".split()
)
HEADINGS = {f"h{level}": level for level in range(1, 7)}


def read_html(request: LoadRequest) -> Draft:
    """The page's text with its title and language; DataError(ENCODING_ERROR) for undecodable bytes."""
    raw = request.path.read_bytes()
    if request.options.html == "main_text":
        return _main_text(raw)
    text, warnings = decoded(raw, request, declared=declared_charset(raw))
    root = parse_html(text)
    if root is None:
        return Draft([""])
    return Draft([render(html_blocks(root), request.options)], warnings=warnings, metadata=page_metadata(root))


def _main_text(raw: bytes) -> Draft:
    found = main_text(raw, None, None)
    about = {"title": found.title or "", "language": found.language or ""}
    left_out = [f"{found.dropped_bytes:,} bytes beside the main text were left out"]
    return Draft([found.text], warnings=left_out, metadata=about)


def declared_charset(raw: bytes) -> str | None:
    """The encoding that the page itself names in its first 4096 bytes."""
    head = raw[:4096]
    found = META_CHARSET.search(head) or XML_ENCODING.match(head)
    return found[1].decode("ascii").lower() if found else None


def page_metadata(root: Element) -> dict[str, str]:
    """Title, language, author and description, where the page states them."""
    metadata: dict[str, str] = {}
    if local_name(root) == "html" and (language := root.get("lang") or root.get("xml:lang")):
        metadata["language"] = language
    for element in root.iter():
        name = local_name(element)
        if name == "title" and element.text:
            metadata.setdefault("title", SPACE.sub(" ", element.text).strip())
        elif name == "meta" and (element.get("name") or "").lower() in ("author", "description"):
            metadata.setdefault((element.get("name") or "").lower(), element.get("content") or "")
        elif name == "body":
            break
    return metadata


def html_blocks(root: Element) -> list[Block | Table]:
    """What a reader sees below `root`, in order."""
    blocks = _HtmlBlocks()
    for event, element in walk(root):
        if event == "start":
            blocks.start(element)
        else:
            blocks.end(element)
    blocks.flush()
    return blocks.top


class _HtmlBlocks:
    """Turns start and end of elements into blocks; `sinks` are the list of blocks and, within tables, cells."""

    def __init__(self) -> None:
        self.top: list[Block | Table] = []
        self.sinks: list[list[Block | Table]] = [self.top]
        self.tables: list[Table] = []
        self.lists: list[int | None] = []  # the next number of each open list; None: bullets
        self.unseen = 0
        self.preformatted = 0
        self.heading = 0
        self.marker: str | None = None
        self.inline: list[str] = []

    def start(self, element: Element) -> None:
        """An element opens."""
        name = local_name(element)
        if self.unseen or name in UNSEEN or element.get("hidden") is not None:
            self.unseen += 1
            return
        if name in BLOCKS:
            self.flush()
        if name in HEADINGS:
            self.heading = HEADINGS[name]
        elif name == "pre":
            self.preformatted += 1
        elif name in ("ul", "menu"):
            self.lists.append(None)
        elif name == "ol":
            start = element.get("start") or "1"
            self.lists.append(int(start) if start.lstrip("-").isdecimal() else 1)
        elif name == "li":
            self._open_item()
        elif name == "table":
            self.tables.append(Table())
        elif name == "tr" and self.tables:
            self.tables[-1].rows.append([])
        elif name in ("td", "th") and self.tables:
            self._open_cell()
        elif name == "br":
            self.inline.append("\n")
        self.add(element.text)

    def end(self, element: Element) -> None:
        """An element closes; what follows it belongs to the one around it."""
        if self.unseen:
            self.unseen -= 1
            if not self.unseen:
                self._space_between(element)
                self.add(element.tail)
            return
        name = local_name(element)
        if name in BLOCKS:
            self.flush()
        if name in HEADINGS:
            self.heading = 0
        elif name == "pre":
            self.preformatted -= 1
        elif name in ("ul", "menu", "ol"):
            self.lists.pop()
            self.marker = None
        elif name == "li":
            self.marker = None
        elif name in ("td", "th") and self.tables and len(self.sinks) > 1:
            self.sinks.pop()
        elif name == "table" and self.tables:
            table = self.tables.pop()
            self.sinks[-1].append(table)
        self.add(element.tail)

    def add(self, text: str | None) -> None:
        """Text within the current block."""
        if text and not self.unseen:
            self.inline.append(text if self.preformatted else SPACE.sub(" ", text))

    def flush(self) -> None:
        """End the current block."""
        text = "".join(self.inline)
        self.inline = []
        if not text.strip():
            return
        if self.preformatted:
            self.sinks[-1].append(Block(text.strip("\n"), "code"))
            return
        text = re.sub(r" *\n *", "\n", re.sub(" {2,}", " ", text)).strip()
        if self.heading:
            self.sinks[-1].append(Block(text, "heading", self.heading))
        elif self.marker is not None:
            self.sinks[-1].append(Block(text, "item", max(0, len(self.lists) - 1), self.marker))
            self.marker = None
        else:
            self.sinks[-1].append(Block(text))

    def _open_item(self) -> None:
        number = self.lists[-1] if self.lists else None
        self.marker = "-" if number is None else f"{number}."
        if number is not None:
            self.lists[-1] = number + 1

    def _open_cell(self) -> None:
        rows = self.tables[-1].rows
        if not rows:
            rows.append([])
        cell: list[Block | Table] = []
        rows[-1].append(cell)
        self.sinks.append(cell)

    def _space_between(self, element: Element) -> None:
        """An unseen block element still parts the words around it."""
        if local_name(element) in BLOCKS:
            self.flush()
