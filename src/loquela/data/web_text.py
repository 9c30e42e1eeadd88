"""A web page → its main text: what the page is about, without menus, notices and lists of references.

The text is found by trafilatura; nothing of the page is executed or fetched. Shared by crawled pages and web archives.
"""

from __future__ import annotations

import codecs
import logging
import re
from dataclasses import dataclass

from loquela.core import extras
from loquela.core.errors import DataError, ErrorCode
from loquela.data.encoding.fallback import choose_encoding
from loquela.data.tally import utf8_size

# Where HTML looks for the page's own statement of its encoding (HTML standard, 13.2.3.2).
PRESCAN_BYTES = 1024
META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
HTML_LANGUAGE = re.compile(rb"<html[^>]{0,2000}?\slang\s*=\s*[\"']?\s*([A-Za-z]{2,3})\b", re.IGNORECASE)
# Marked as not the main text by the page itself (roles) or by MediaWiki, which most encyclopaedias run on.
BESIDE_THE_TEXT = [
    "//nav",
    "//*[@role='navigation' or @role='banner' or @role='contentinfo' or @role='search']",
    "//*[contains(concat(' ', normalize-space(@class), ' '), ' references ')]",
    *(
        f"//*[contains(@class, '{name}')]"
        for name in ("reflist", "refbegin", "navbox", "infobox", "mw-editsection", "hatnote", "catlinks", "noprint")
    ),
]
REPLACEMENT = "\ufffd"


@dataclass(frozen=True)
class WebText:
    """The main text of a page; `dropped_bytes` is by how many UTF-8 bytes the whole page is longer.

    `language` is what the page says of itself (ISO 639), `encoding` what it was decoded as.
    """

    text: str
    title: str | None
    language: str | None
    dropped_bytes: int
    encoding: str


def main_text(html: bytes, url: str | None, declared: str | None) -> WebText:
    """The main text of the page `html`, found at `url`; empty for a page without one.

    `declared` is the encoding of its Content-Type. Raises DataError(ENCODING_ERROR) when no encoding reads the text,
    ResourceError(MISSING_EXTRA) without trafilatura.
    """
    found = HTML_LANGUAGE.search(html[: 4 * PRESCAN_BYTES])
    language = found[1].decode("ascii").lower() if found else None
    page, encoding = _decoded(html, url, declared, language)
    text, title = _extracted(page, url)
    if REPLACEMENT in text and REPLACEMENT.encode("utf-8") not in html:
        raise _undecodable(url, encoding)
    return WebText(
        text=text,
        title=title,
        language=language,
        dropped_bytes=utf8_size(page) - utf8_size(text),
        encoding=encoding,
    )


def _extracted(page: str, url: str | None) -> tuple[str, str | None]:
    """Text and title; trafilatura says on its own log what it discards, which is counted here instead."""
    extras.require("trafilatura", extra="data", purpose="finding the main text of web pages")
    from trafilatura import bare_extraction
    from trafilatura.settings import Document

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    found = bare_extraction(
        page, url=url, include_comments=False, include_tables=True, with_metadata=True, prune_xpath=BESIDE_THE_TEXT
    )
    if not isinstance(found, Document) or not found.text:
        return "", None
    return found.text + "\n", found.title


def _decoded(html: bytes, url: str | None, declared: str | None, language: str | None) -> tuple[str, str]:
    meta = META_CHARSET.search(html[:PRESCAN_BYTES])
    stated = next(filter(_is_known, [declared or "", meta[1].decode("ascii") if meta else ""]), None)
    if stated is None or codecs.lookup(stated).name == "utf-8":
        page = html.decode("utf-8", errors="replace").removeprefix("\ufeff")
        if _mostly_right(page):
            return page, "utf-8"
    choice = choose_encoding(html, declared=stated, language=language)
    if choice.confidence == 0:
        raise _undecodable(url, stated or "utf-8")
    try:
        return html.decode(choice.encoding).removeprefix("\ufeff"), choice.encoding
    except UnicodeDecodeError as error:
        raise _undecodable(url, choice.encoding) from error


def _mostly_right(page: str) -> bool:
    """Whether a page read as UTF-8 was UTF-8, but for bytes that somebody spoilt.

    Characters of several bytes do not come about by chance in other encodings: they prove it where they are more.
    """
    spoilt = page.count(REPLACEMENT)
    beyond_ascii = len(page.encode("utf-8")) - len(page)  # each spoilt byte gives 2, a right character 1 to 3
    return spoilt == 0 or beyond_ascii > 3 * spoilt


def _is_known(label: str) -> bool:
    try:
        return bool(label) and bool(codecs.lookup(label))
    except LookupError:
        return False


def _undecodable(url: str | None, encoding: str) -> DataError:
    return DataError(
        ErrorCode.ENCODING_ERROR,
        f"the page {url or '(without an address)'} has bytes that are no {encoding.upper()}, nor another encoding",
        "leave the page out, or save it as UTF-8 and give it as a file",
        details={"url": url, "encoding": encoding},
    )
