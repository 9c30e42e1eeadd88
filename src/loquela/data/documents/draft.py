"""What a reader of one format hands over: the text page by page, made fit for training and put together here."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from loquela.data.documents.contract import LoadedDocument, PageSpan

PAGE_GAP = "\n\n"
# Controls but tab, line feed and form feed; surrogates, and what Unicode calls "not a character".
UNFIT = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
NOTHING = re.compile(r"(?!)")
LINE_END = re.compile("\r\n?")


@dataclass
class Draft:
    """The text of each page in order.

    `paged` is false where the format has no pages and `pages` is one text; `verbatim` is a text as it was written, of
    which nothing is removed.
    """

    pages: list[str]
    paged: bool = False
    verbatim: bool = False
    warnings: list[str] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All pages, joined."""
        return PAGE_GAP.join(self.pages)

    def is_blank(self) -> bool:
        """Whether no page holds anything but white space."""
        return not any(page.strip() for page in self.pages)


def finished(draft: Draft, media_type: str) -> LoadedDocument:
    """The document: unfit characters removed and reported, pages joined by a blank line, spans counted."""
    unfit = NOTHING if draft.verbatim else UNFIT
    cleaned = [unfit.subn("", LINE_END.sub("\n", page)) for page in draft.pages]
    removed = sum(count for _, count in cleaned)
    warnings = list(draft.warnings)
    if removed:
        warnings.append(f"{removed} control characters or invalid code points were removed")
    spans: list[PageSpan] = []
    parts: list[str] = []
    at = 0
    for number, (page, _) in enumerate(cleaned, 1):
        text = page.strip("\n") if draft.paged else page
        if text and at:
            parts.append(PAGE_GAP)
            at += len(PAGE_GAP)
        parts.append(text)
        spans.append(PageSpan(number=number, start=at, end=at + len(text)))
        at += len(text)
    metadata = {name: UNFIT.sub("", value).strip() for name, value in draft.metadata.items()}
    return LoadedDocument(
        text="".join(parts),
        pages=spans if draft.paged else [],
        media_type=media_type,
        warnings=warnings,
        metadata={name: value for name, value in metadata.items() if value},
    )
