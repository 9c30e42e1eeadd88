"""Whole answers of bounded size and time: what JSON interfaces, web pages and robots.txt are read with."""

from __future__ import annotations

import time
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Self

import httpx

from loquela.core.errors import ErrorCode, ResourceError
from loquela.security.addresses import Resolver, resolve_host
from loquela.security.content_coding import accepted_codings, unpacked
from loquela.security.http import checked_url, guarded_client
from loquela.security.http_answer import require_ok
from loquela.security.http_auth import BoundHeaders
from loquela.security.http_policy import HttpPolicy
from loquela.security.http_retries import with_retries
from loquela.security.pace import Pace

USER_AGENT = "loquela"


@dataclass(frozen=True)
class Fetched:
    """A whole body, unpacked. `url` is the address after redirects, `content_type` and `link` the headers' text."""

    url: str
    body: bytes
    content_type: str | None = None
    link: str | None = None


class Fetcher:
    """Fetches under one policy, with one credential if any, at one pace; a context manager."""

    def __init__(
        self,
        policy: HttpPolicy,
        *,
        bound: BoundHeaders | None = None,
        pace: Pace | None = None,
        resolver: Resolver = resolve_host,
    ) -> None:
        self.policy = policy
        self._pace = pace
        self._client = guarded_client(
            allow_private=policy.allow_private,
            timeout_seconds=policy.timeout_seconds,
            user_agent=USER_AGENT,
            resolver=resolver,
            bound=bound,
        )
        # What a page says must not depend on the pages fetched before it.
        self._client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, url: str, *, accept: str = "*/*") -> Fetched:
        """The answer to a GET of `url`.

        Raises RecipeError(INVALID_SOURCE), DataError (DATA_NOT_FOUND, CORRUPT_DATA, UNSUPPORTED_FORMAT), ResourceError
        (AUTH_FAILED, NETWORK_ERROR, TIMEOUT, INSUFFICIENT_RESOURCES).
        """
        checked_url(url)
        deadline = time.monotonic() + self.policy.total_seconds
        return with_retries(url, self.policy, lambda: self._attempt(url, accept, deadline))

    def _attempt(self, url: str, accept: str, deadline: float) -> Fetched:
        if self._pace is not None:
            self._pace.wait(httpx.URL(url).host)
        headers = {"Accept": accept, "Accept-Encoding": accepted_codings()}
        try:
            with self._client.stream("GET", url, headers=headers, extensions={"deadline": deadline}) as response:
                require_ok(response, url)
                body = self._body(response, url)
        except httpx.TimeoutException as error:
            if time.monotonic() >= deadline:
                raise self._too_slow(url) from error
            raise
        return Fetched(str(response.url), body, response.headers.get("content-type"), response.headers.get("link"))

    def _body(self, response: httpx.Response, url: str) -> bytes:
        body = bytearray()
        coding = response.headers.get("content-encoding", "")
        for piece in unpacked(response.iter_raw(), coding, url, self.policy):
            body += piece
            if len(body) > self.policy.max_bytes:
                raise ResourceError(
                    ErrorCode.INSUFFICIENT_RESOURCES,
                    f"the answer of {url} has more than {self.policy.max_bytes:,} bytes",
                    "ask for smaller pages, or set data.corpus_size_mb to the real size of the corpus",
                    details={"url": url, "max_bytes": self.policy.max_bytes},
                )
        return bytes(body)

    def _too_slow(self, url: str) -> ResourceError:
        return ResourceError(
            ErrorCode.TIMEOUT,
            f"{url} took longer than {self.policy.total_seconds:g} s for one answer",
            "try again later, or raise data.timeout_seconds",
            details={"url": url},
        )
