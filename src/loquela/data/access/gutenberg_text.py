"""A Project Gutenberg file → the book alone: what its header declares, where the book starts and ends.

The forms of thirty years are known: "*** START OF THE PROJECT GUTENBERG EBOOK … ***" and its variants (THIS, ETEXT,
no spaces, over two lines), and the "small print" header of the 1990s, which ends in "*END*".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from loquela.core.errors import DataError, ErrorCode

START = re.compile(
    r"^\*{3} ?START OF (?:THE|THIS) PROJECT GUTENBERG E-?(?:BOOK|TEXT)\b.{0,400}?\*{3}[ \t]*$",
    re.MULTILINE | re.DOTALL | re.IGNORECASE,
)
SMALL_PRINT_END = re.compile(r"^\*END ?\*?THE SMALL PRINT!.{0,200}?\*END\*[ \t]*$", re.MULTILINE | re.IGNORECASE)
END = re.compile(
    r"^(?:\*{3} ?END OF (?:THE|THIS) PROJECT GUTENBERG E-?(?:BOOK|TEXT)\b"
    r"|\**(?:This is the )?End of (?:the |this )?Project Gutenberg(?:'s|’s|\(TM\)|-tm)?\b)",
    re.MULTILINE | re.IGNORECASE,
)
CREDIT = re.compile(
    r"(?:Produced by|E-?text prepared by|This e-?(?:book|text) was (?:produced|prepared) by|Transcribed (?:from|by)"
    r"|HTML version by|Text file produced by|Scanned (?:and proofed )?by|Prepared by)\b",
    re.IGNORECASE,
)
GAP = re.compile(r"\n(?:[ \t]*\n)+")
# Credits stand right behind the header; looking further would reach into the book.
CREDIT_PARAGRAPHS = 4
LONGEST_CREDIT = 800

ENCODING = re.compile(rb"^Character set encoding:[ \t]*([^\r\n]+)", re.MULTILINE | re.IGNORECASE)
LANGUAGE = re.compile(r"^Language:[ \t]*(.+?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
LANGUAGE_CODES = {
    "english": "en",
    "spanish": "es",
    "french": "fr",
    "german": "de",
    "italian": "it",
    "portuguese": "pt",
    "catalan": "ca",
    "dutch": "nl",
    "latin": "la",
}
HEADER_BYTES = 1 << 14


@dataclass(frozen=True)
class Book:
    """The text of a book, and how many characters' text was taken off, by reason."""

    text: str
    removed: dict[str, str]


def declared_encoding(data: bytes) -> str | None:
    """The encoding of a Gutenberg file: UTF-8 where it is that, else what its header declares, else None.

    Old headers say ISO-8859-1 over Windows-1252 text; the bytes 0x80 to 0x9F, which ISO-8859-1 leaves to control
    characters, tell the two apart.
    """
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        match = ENCODING.search(data[:HEADER_BYTES])
        if match is None:
            return None
        declared = match[1].decode("ascii", "replace").strip().lower()
        if declared.replace("-", "").replace(" ", "") in ("iso88591", "isolatin1", "latin1"):
            return "windows-1252" if re.search(rb"[\x80-\x9f]", data) else "iso-8859-1"
        return declared
    return "utf-8"


def declared_language(text: str) -> str | None:
    """ISO 639-1 code of the language that the header names, None where it names none that is known."""
    match = LANGUAGE.search(text[:HEADER_BYTES])
    return LANGUAGE_CODES.get(match[1].lower()) if match else None


def extract_book(text: str, name: str) -> Book:
    """The book between header and footer of `text` (LF line ends), without blank lines around it.

    Raises DataError(CORRUPT_DATA) when a marker is missing: then the file is cut off, or no Gutenberg book.
    """
    start = START.search(text) or SMALL_PRINT_END.search(text)
    if start is None:
        raise _marker_missing(name, "start", "it is no Project Gutenberg text")
    end = END.search(text, start.end())
    if end is None:
        raise _marker_missing(name, "end", "it is probably cut off")
    body = text[start.end() : end.start()]
    first = len(body) - len(body.lstrip("\n"))
    last = len(body.rstrip()) + 1 if body.strip() else first
    credits_end = _credits_end(body, first)
    removed = {
        "gutenberg_header": text[: start.end()] + body[:first],
        "gutenberg_credits": body[first:credits_end],
        "gutenberg_footer": body[max(last, credits_end) :] + text[end.start() :],
    }
    return Book(body[credits_end : max(last, credits_end)], removed)


def _credits_end(body: str, first: int) -> int:
    """Where the producers' credits at the head of `body` end; `first` when there are none."""
    end, position = first, first
    for _ in range(CREDIT_PARAGRAPHS):
        gap = GAP.search(body, position)
        paragraph_end = gap.start() if gap else len(body)
        paragraph = body[position:paragraph_end].strip()
        if not CREDIT.match(paragraph) or len(paragraph) > LONGEST_CREDIT:
            break
        end = position = gap.end() if gap else len(body)
    return end


def _marker_missing(name: str, which: str, meaning: str) -> DataError:
    return DataError(
        ErrorCode.CORRUPT_DATA,
        f"{name} has no Project Gutenberg {which} marker: {meaning}",
        "delete its file below downloads/ and run the same command again, or give the text as a file",
        details={"source": name, "marker": which},
    )
