"""What a page's layout adds to its text: hyphens at line ends, running headers and footers, page numbers.

Nothing of it is removed unasked; what is removed is counted.
"""

from __future__ import annotations

import re
from collections import Counter

from loquela.data.documents.pdf_contract import HYPHEN_BREAK
from loquela.recipe.document_section import DocumentOptions

TRAILING_BLANKS = re.compile(r"[ \t\xa0]+$", re.MULTILINE)
LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
BROKEN_WORD = re.compile(rf"(\w*){HYPHEN_BREAK}(\w*)")
NUMBER = re.compile(r"\d+")
PAGE_NUMBER = re.compile(r"(?:page|p\.|pág\.|página)?\s*(?:\d{1,5}|[ivxlc]{1,7})(?:\s*(?:of|de|/)\s*\d{1,5})?", re.I)
EDGE_LINES = 2
REPEATED_SHARE = 0.4
MIN_REPEATS = 3


def laid_out(pages: list[str], options: DocumentOptions) -> tuple[list[str], list[str]]:
    """The pages as `options` want them, and a sentence for each kind of change."""
    pages = [TRAILING_BLANKS.sub("", LINE_ENDS.sub("\n", page)) for page in pages]
    notes: list[str] = []
    if options.drop_page_furniture:
        pages, dropped = _without_furniture(pages)
        if dropped:
            notes.append(f"{dropped} lines of running headers, footers and page numbers were dropped")
    if options.join_hyphens:
        pages, joined = _joined(pages)
        if joined:
            notes.append(f"{joined} words divided by a hyphen at a line's end were joined")
    else:
        pages = [page.replace(HYPHEN_BREAK, "-\n") for page in pages]
    return pages, notes


def _joined(pages: list[str]) -> tuple[list[str], int]:
    """Join divided words; a hyphen that the document also writes within a line ("well-known") stays."""
    whole = "\n".join(pages)
    compounds = {match.lower() for match in re.findall(r"\w+-\w+", whole)}
    count = whole.count(HYPHEN_BREAK)

    def join(match: re.Match[str]) -> str:
        before, after = match[1], match[2]
        hyphen = "-" if f"{before}-{after}".lower() in compounds else ""
        return f"{before}{hyphen}{after}"

    return [BROKEN_WORD.sub(join, page) for page in pages], count


def _without_furniture(pages: list[str]) -> tuple[list[str], int]:
    """Drop lines at the top and bottom that stand on many pages, alike but for their numbers, and page numbers."""
    edges = [_edges(page.split("\n")) for page in pages]
    seen = Counter(key for lines in edges for key in {_likeness(line) for _, line in lines})
    often = max(MIN_REPEATS, REPEATED_SHARE * len(pages))
    dropped = 0
    kept: list[str] = []
    for page, lines in zip(pages, edges, strict=True):
        gone = {
            index
            for index, line in lines
            if seen[_likeness(line)] >= often or (len(pages) > 1 and PAGE_NUMBER.fullmatch(line.strip()))
        }
        dropped += len(gone)
        kept.append("\n".join(line for index, line in enumerate(page.split("\n")) if index not in gone))
    return kept, dropped


def _edges(lines: list[str]) -> list[tuple[int, str]]:
    """The first and last written lines of a page (at most a half of them) with their places."""
    written = [(index, line) for index, line in enumerate(lines) if line.strip()]
    edge = min(EDGE_LINES, len(written) // 4)
    return written[:edge] + written[len(written) - edge :]


def _likeness(line: str) -> str:
    return NUMBER.sub("0", " ".join(line.lower().split()))
