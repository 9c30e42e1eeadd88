"""From the start pages along their links, breadth first; every page is kept with what became of it.

The order depends on the pages alone, so that a crawl that was cut walks the kept pages again and goes on.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, deque
from email.message import Message

from pydantic import JsonValue

from loquela.core.errors import ErrorCode, LoquelaError, RecipeError
from loquela.data.access.downloads import policy_of
from loquela.data.access.page_cache import CachedPage, Finished, PageCache
from loquela.data.source_contract import SourceRequest
from loquela.data.web.addresses import Scope, canonical
from loquela.data.web.links import links_of
from loquela.data.web.robots import Robots
from loquela.recipe.source_options.web import WebOptions
from loquela.security.http import checked_url
from loquela.security.http_auth import bound_headers
from loquela.security.http_fetch import Fetched, Fetcher
from loquela.security.pace import Pace

# A page larger than this is no page to read.
PAGE_BYTES = 32 << 20
PAGE_TIME_FACTOR = 4
HTML_TYPES = ("text/html", "application/xhtml+xml")
ACCEPT = "text/html, application/xhtml+xml;q=0.9"

# What became of a page that is not read; the ledger's reasons.
READ = "read"
REASONS: dict[ErrorCode, str] = {
    ErrorCode.DATA_NOT_FOUND: "page_not_found",
    ErrorCode.AUTH_FAILED: "page_refused_access",
    ErrorCode.TIMEOUT: "page_did_not_answer",
    ErrorCode.NETWORK_ERROR: "page_did_not_answer",
    ErrorCode.INSUFFICIENT_RESOURCES: "page_too_large",
    ErrorCode.CORRUPT_DATA: "page_damaged",
    ErrorCode.UNSUPPORTED_FORMAT: "page_damaged",
    ErrorCode.INVALID_SOURCE: "page_leads_to_a_forbidden_address",
}


class Crawl:
    """The pages of one entry."""

    def __init__(self, request: SourceRequest) -> None:
        self.options = request.entry.web or WebOptions.model_validate({})
        self._request = request
        self._policy = policy_of(request.section)
        self.starts = self._start_addresses()
        self.scope = Scope.of(self.starts[0], self.options.within)
        identity: JsonValue = {
            "starts": [*self.starts],
            "credential": request.entry.credential,
            "options": self.options.model_dump(mode="json", exclude={"delay_seconds", "start"}),
        }
        self.cache = PageCache(request.downloads, identity, self._policy.max_bytes)
        self._pace = Pace(self.options.delay_seconds)

    def fetcher(self) -> Fetcher:
        """The guarded client with the entry's credential and pace."""
        url = checked_url(self.starts[0])
        credential = self._request.credential(url.host)
        allow_private = self._policy.allow_private
        name = self._request.entry.credential or ""
        bound = None if credential is None else bound_headers(credential, name, url, allow_private=allow_private)
        seconds = PAGE_TIME_FACTOR * self._policy.timeout_seconds
        limits = dataclasses.replace(
            self._policy, total_seconds=seconds, max_bytes=min(PAGE_BYTES, self._policy.max_bytes)
        )
        return Fetcher(limits, bound=bound, pace=self._pace)

    def everything(self) -> Finished:
        """All pages, kept; those of an earlier try are not asked for again."""
        with self.cache.locked():
            finished = self.cache.finished()
            if finished is not None:
                return finished
            with self.fetcher() as fetcher:
                return self._walk(fetcher, Robots(fetcher))

    def _walk(self, fetcher: Fetcher, robots: Robots) -> Finished:
        waiting = deque((address, 0) for address in self.starts)
        known = set(self.starts)
        read: set[str] = set()
        urls: list[str] = []
        left_out: Counter[str] = Counter()
        while waiting and len(urls) < self.options.max_pages:
            address, depth = waiting.popleft()
            page = self.cache.get(address) or self._ask(address, fetcher, robots)
            if page is None:
                left_out["disallowed_by_robots_txt"] += 1
                continue
            urls.append(address)
            if page.notes["outcome"] != READ:
                continue
            found = links_of(self.cache.body(page), page.found_at)
            names = {canonical(page.found_at) or address, found.canonical or address}
            if names & read:
                left_out["page_seen_under_another_address"] += 1
                urls.pop()
                continue
            read |= names | {address}
            if depth < self.options.depth:
                new = [link for link in found.links if link not in known and self.scope.holds(link)]
                known.update(new)
                waiting.extend((link, depth + 1) for link in new)
        left_out["beyond_max_pages"] += len(waiting)
        return self.cache.finish(urls, dict(left_out))

    def _ask(self, address: str, fetcher: Fetcher, robots: Robots) -> CachedPage | None:
        """The page, kept whatever became of it; None when its host does not want it read."""
        if not robots.allows(address):
            return None
        self._slow_down(address, robots.delay_seconds(address))
        try:
            found = fetcher.get(address, accept=ACCEPT)
        except LoquelaError as error:
            if error.code not in REASONS:
                raise
            return self.cache.add(address, b"", found_at=address, notes={"outcome": REASONS[error.code]})
        outcome = self._outcome(found, robots)
        return self.cache.add(
            address,
            found.body if outcome == READ else b"",
            found_at=found.url,
            content_type=found.content_type,
            notes={"outcome": outcome, "size_bytes": len(found.body)},
        )

    def _slow_down(self, address: str, seconds: float) -> None:
        host = checked_url(address).host
        if seconds > self._policy.longest_pause_seconds:
            raise RecipeError(
                ErrorCode.INVALID_SOURCE,
                f"the robots.txt of {host} asks for {seconds:,g} s between two pages; "
                f"{self._policy.longest_pause_seconds:g} s are waited at most",
                "leave the source out, or ask the owner of the host for the texts",
                details={"host": host, "crawl_delay_seconds": seconds},
            )
        self._pace.slow_down(host, seconds)

    def _outcome(self, found: Fetched, robots: Robots) -> str:
        arrived = canonical(found.url)
        if arrived is None or not self.scope.holds(arrived):
            return "page_moved_elsewhere"
        if not robots.allows(arrived):
            return "disallowed_by_robots_txt"
        return READ if media_type(found.content_type) in HTML_TYPES else "not_html"

    def _start_addresses(self) -> list[str]:
        first = canonical(checked_url(self._request.address.partition("+")[2]))
        if first is None:
            raise _no_start(self._request.address, "is no web address")
        scope = Scope.of(first, "host")
        starts = [first]
        for text in self.options.start:
            address = canonical(text)
            if address is None or not scope.holds(address):
                raise _no_start(text, f"is not on the host of {first}")
            starts.append(address)
        return list(dict.fromkeys(starts))


def media_type(content_type: str | None) -> str:
    """The type of a header Content-Type, without its parameters; HTML where a server says nothing."""
    return _header(content_type).get_content_type()


def charset(content_type: str | None) -> str | None:
    """The charset of a header Content-Type."""
    return _header(content_type).get_content_charset()


def _header(content_type: str | None) -> Message:
    header = Message()
    header["content-type"] = content_type or "text/html"
    return header


def _no_start(address: str, what: str) -> RecipeError:
    return RecipeError(
        ErrorCode.INVALID_SOURCE,
        f"the start page {address!r} {what}",
        "give a source of its own to every host",
        details={"url": address},
    )
