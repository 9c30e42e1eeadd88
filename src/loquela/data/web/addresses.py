"""One form for every address, so that a page is asked for once; and which addresses belong to a source."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

import httpx

from loquela.security.http import DEFAULT_PORTS

ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
UNRESERVED = frozenset(string.ascii_letters + string.digits + "-._~")


def canonical(url: str | httpx.URL) -> str | None:
    """`url` in one form (RFC 3986, 6.2), without its fragment; None for what is no plain web address."""
    try:
        # httpx resolves dots, lowers scheme and host and leaves default ports out.
        found = httpx.URL(url).copy_with(fragment=None)
    except httpx.InvalidURL:
        return None
    if found.scheme not in DEFAULT_PORTS or not found.host or found.userinfo:
        return None
    raw = ESCAPE.sub(_escape, found.raw_path.decode("ascii"))
    return str(found.copy_with(raw_path=raw.encode("ascii")))


def _escape(match: re.Match[str]) -> str:
    """An escape in capitals, or the character itself where it needs none (%7e → ~)."""
    sign = chr(int(match[1], 16))
    return sign if sign in UNRESERVED else match[0].upper()


@dataclass(frozen=True)
class Scope:
    """The pages of one source: those on the host of its start, below the folder of its start if `prefix` is not "/"."""

    host: str
    port: int | None
    prefix: str

    @staticmethod
    def of(start: str, within: str) -> Scope:
        """The scope that the start page gives: its folder, or its whole host."""
        url = httpx.URL(start)
        folder = url.path.rpartition("/")[0] + "/"
        return Scope(url.host, url.port, folder if within == "prefix" else "/")

    def holds(self, address: str) -> bool:
        """Whether the canonical `address` is one of them."""
        url = httpx.URL(address)
        return (url.host, url.port) == (self.host, self.port) and url.path.startswith(self.prefix)


def origin(address: str) -> str:
    """Scheme, host and port of a canonical address: what one robots.txt is for."""
    url = httpx.URL(address)
    return str(url.copy_with(raw_path=b"/"))
