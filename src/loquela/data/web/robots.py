"""What the owners of a host allow: robots.txt, by RFC 9309."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loquela.core import extras
from loquela.core.errors import DataError, ErrorCode, LoquelaError
from loquela.data.web.addresses import origin
from loquela.security.http_fetch import USER_AGENT, Fetcher

if TYPE_CHECKING:
    from protego import Protego

# RFC 9309, 2.5: a crawler must read at least 500 kibibytes.
READ_BYTES = 500 << 10
EVERYTHING = ""
NOTHING = "User-agent: *\nDisallow: /\n"
# Too many requests is no answer about what is allowed.
UNANSWERED_STATUS = 429


class Robots:
    """The rules of every host that is asked, fetched once each."""

    def __init__(self, fetcher: Fetcher) -> None:
        extras.require("protego", extra="data", purpose="reading robots.txt")
        self._fetcher = fetcher
        self._rules: dict[str, Protego] = {}

    def allows(self, address: str) -> bool:
        """Whether the canonical `address` may be fetched."""
        return self._of(address).can_fetch(address, USER_AGENT)

    def delay_seconds(self, address: str) -> float:
        """The pause between requests that its host asks for; 0 when it does not."""
        return self._of(address).crawl_delay(USER_AGENT) or 0.0

    def _of(self, address: str) -> Protego:
        from protego import Protego

        place = origin(address)
        if place not in self._rules:
            self._rules[place] = Protego.parse(self._text(place + "robots.txt"))
        return self._rules[place]

    def _text(self, address: str) -> str:
        """The file; nothing for one that is not there (2.3.1.3), all forbidden where it cannot be had (2.3.1.4)."""
        try:
            body = self._fetcher.get(address, accept="text/plain").body
        except LoquelaError as error:
            return EVERYTHING if _is_unavailable(error) else NOTHING
        return body[:READ_BYTES].decode("utf-8-sig", errors="replace")


def _is_unavailable(error: LoquelaError) -> bool:
    """Whether the host answered, and said that there is no such file or that it is not shown (4xx)."""
    if isinstance(error, DataError) and error.code is ErrorCode.DATA_NOT_FOUND:
        return True
    status = error.details.get("status")
    return isinstance(status, int) and 400 <= status < 500 and status != UNANSWERED_STATUS
