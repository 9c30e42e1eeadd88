"""Pages of a web site: `web+https://host/guide/`, or https:// with `web:` options; the main text of each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from loquela.core.errors import DataError, ErrorCode, RecipeError
from loquela.data.access.page_cache import CachedPage
from loquela.data.source_contract import SourceCheck, SourceFingerprint, SourceRequest, SourceText
from loquela.data.tally import Tally, utf8_size
from loquela.data.web.crawl import ACCEPT, READ, Crawl, charset
from loquela.data.web.robots import Robots
from loquela.data.web_text import WebText, main_text


class WebSource:
    """One text a page; pages are fetched once, as robots.txt and the pace allow, and kept in the downloads."""

    def check(self, request: SourceRequest) -> SourceCheck:
        """The first page may be read and answers."""
        crawl = Crawl(request)
        finished = crawl.cache.finished()
        if finished is not None:
            pages = crawl.cache.pages(finished)
            size = sum(page.size_bytes for page in pages)
            message = f"{request.address} is kept: {len(pages):,} pages, {size:,} bytes"
            return SourceCheck(
                address=request.address, size_bytes=size, texts=len(pages), message=message, formats=["html"]
            )
        first = crawl.starts[0]
        with crawl.fetcher() as fetcher:
            if not Robots(fetcher).allows(first):
                raise RecipeError(
                    ErrorCode.INVALID_SOURCE,
                    f"the robots.txt of its host does not let {first} be read (or could not be had)",
                    "leave the source out, or ask the owner of the host",
                    details={"url": first},
                )
            found = fetcher.get(first, accept=ACCEPT)
        message = f"{request.address} answers, its first page has {len(found.body):,} bytes"
        return SourceCheck(address=request.address, size_bytes=None, texts=None, message=message, formats=["html"])

    def fingerprint(self, request: SourceRequest) -> SourceFingerprint:
        """SHA-256 over the pages' digests, one a line, in order; `bytes` are those of the pages."""
        crawl = Crawl(request)
        pages = crawl.cache.pages(crawl.everything())
        lines = "".join(f"{page.url}\t{page.notes['outcome']}\t{page.sha256}\n" for page in pages)
        return SourceFingerprint(
            texts=sum(page.notes["outcome"] == READ for page in pages),
            bytes=sum(page.size_bytes for page in pages),
            sha256=hashlib.sha256(lines.encode()).hexdigest(),
            language=request.entry.language,
        )

    def read(self, request: SourceRequest, tally: Tally) -> Iterator[SourceText]:
        """The main texts; what is not read, and why, is counted under "read"."""
        crawl = Crawl(request)
        finished = crawl.everything()
        for reason, count in finished.facts.items():
            tally.enter("read", 0, count)
            tally.change("read", reason, 0, -count)
        for page in crawl.cache.pages(finished):
            if page.notes["outcome"] != READ:
                _count_lost(page, str(page.notes["outcome"]), tally)
                continue
            text = _page_text(page, crawl.cache.body(page), tally)
            if text is not None:
                yield SourceText(
                    name=page.url,
                    pieces=_pieces(text.text, page.size_bytes, tally),
                    language=request.entry.language or text.language,
                    object_name=page.url,
                    raw_bytes=(0, page.size_bytes),
                    raw_sha256=page.sha256,
                    labels={"title": text.title} if text.title and "title" in request.entry.labels else {},
                )


def _page_text(page: CachedPage, html: bytes, tally: Tally) -> WebText | None:
    try:
        text = main_text(html, page.found_at, charset(page.content_type))
    except DataError as error:
        if error.code is not ErrorCode.ENCODING_ERROR:
            raise
        _count_lost(page, "page_of_unknown_encoding", tally)
        return None
    if not text.text.strip():
        _count_lost(page, "page_without_main_text", tally)
        return None
    return text


def _count_lost(page: CachedPage, reason: str, tally: Tally) -> None:
    """Bytes that came and were not kept count too."""
    noted = page.notes.get("size_bytes", 0)
    size = max(page.size_bytes, noted if isinstance(noted, int) else 0)
    tally.enter("read", size, 1)
    tally.change("read", reason, -size, -1)


def _pieces(text: str, page_bytes: int, tally: Tally) -> Iterator[str]:
    size = utf8_size(text)
    tally.enter("read", page_bytes, 1)
    tally.change("read", "page_around_the_text", size - page_bytes)
    tally.leave("read", size, 1)
    tally.enter("decode", size, 1)
    yield text
