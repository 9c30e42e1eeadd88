"""All pages of an interface into the cache: at its pace, once each, until there are no more."""

from __future__ import annotations

import dataclasses

import httpx
from pydantic import JsonValue

from loquela.core.errors import DataError, ErrorCode, ResourceError
from loquela.data.access.downloads import policy_of
from loquela.data.access.page_cache import CachedPage, Finished, PageCache
from loquela.data.api.page_json import page_items
from loquela.data.api.paging import first_request, next_request
from loquela.data.source_contract import SourceRequest
from loquela.recipe.source_options.api import ApiOptions
from loquela.security.http import checked_url
from loquela.security.http_auth import bound_headers, origin_of
from loquela.security.http_fetch import Fetcher
from loquela.security.pace import Pace

# One answer may take this many times data.timeout_seconds.
ANSWER_TIME_FACTOR = 10


class Asking:
    """One interface as its entry describes it."""

    def __init__(self, request: SourceRequest) -> None:
        self.options = request.entry.api or ApiOptions.model_validate({})
        self._request = request
        self._policy = policy_of(request.section)
        url = checked_url(request.address.partition("+")[2])
        self.first = first_request(str(url), self.options)
        identity: JsonValue = {
            "address": self.first,
            "credential": request.entry.credential,
            "options": self.options.model_dump(mode="json", exclude={"requests_per_second", "max_requests"}),
        }
        self.cache = PageCache(request.downloads, identity, self._policy.max_bytes)

    def fetcher(self) -> Fetcher:
        """The guarded client with the entry's credential and pace."""
        request, url = self._request, httpx.URL(self.first)
        credential = request.credential(url.host)
        allow_private = request.section.allow_private_addresses
        name = request.entry.credential or ""
        bound = None if credential is None else bound_headers(credential, name, url, allow_private=allow_private)
        return Fetcher(
            dataclasses.replace(self._policy, total_seconds=ANSWER_TIME_FACTOR * self._policy.timeout_seconds),
            bound=bound,
            pace=Pace(1 / self.options.requests_per_second),
        )

    def everything(self) -> Finished:
        """All pages, kept; those of an earlier try are not asked for again.

        Raises DataError(CORRUPT_DATA) for a page that is none or pages in a circle, ResourceError
        (INSUFFICIENT_RESOURCES) for more than `max_requests`, and what the fetcher raises; what came is kept.
        """
        with self.cache.locked():
            finished = self.cache.finished()
            if finished is not None:
                return finished
            with self.fetcher() as fetcher:
                return self._ask_all(fetcher)

    def _ask_all(self, fetcher: Fetcher) -> Finished:
        urls: list[str] = []
        records = 0
        before: CachedPage | None = None
        following: str | None = self.first
        while following is not None and not self._enough(records):
            self._require_onward(following, urls)
            number = len(urls) + 1
            page = self.cache.get(following) or self._ask(fetcher, following, number)
            document, items = page_items(self.cache.body(page), page.url, number, self.options)
            if before is not None and items and page.sha256 == before.sha256:
                raise _circle(number, page.url, "is the same, byte for byte, as the page before it")
            urls.append(page.url)
            records += len(items)
            before = page
            link = page.notes.get("link")
            following = next_request(
                page.url, document, len(items), link if isinstance(link, str) else None, self.options
            )
        return self.cache.finish(urls, {"records": records})

    def _enough(self, records: int) -> bool:
        return self.options.max_records is not None and records >= self.options.max_records

    def _ask(self, fetcher: Fetcher, url: str, number: int) -> CachedPage:
        found = fetcher.get(url, accept="application/json")
        page_items(found.body, url, number, self.options)
        return self.cache.add(
            url, found.body, found_at=found.url, content_type=found.content_type, notes={"link": found.link}
        )

    def _require_onward(self, url: str, urls: list[str]) -> None:
        number = len(urls) + 1
        if url in urls:
            raise _circle(number, url, f"was page {urls.index(url) + 1} already")
        if origin_of(httpx.URL(url)) != origin_of(httpx.URL(self.first)):
            raise _circle(number, url, f"is on another server than {self.first}")
        if len(urls) >= self.options.max_requests:
            raise ResourceError(
                ErrorCode.INSUFFICIENT_RESOURCES,
                f"{self._request.address} has more than {self.options.max_requests} pages; those are kept",
                "raise api.max_requests, or set api.max_records to take the first so many items",
                details={"source": self._request.address, "max_requests": self.options.max_requests},
            )


def _circle(number: int, url: str, what: str) -> DataError:
    return DataError(
        ErrorCode.CORRUPT_DATA,
        f"page {number} of the interface ({url}) {what}: its pages do not lead on; {number - 1} pages are kept",
        "correct api.pagination and its parameters, or set api.max_records",
        details={"url": url, "page": number},
    )
