"""Where the service is, with which key, and how patiently it is asked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import metadata

import httpx

from loquela.core.errors import ErrorCode, RecipeError

DEFAULT_URL = "http://127.0.0.1:8040"
TRIES = 5
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# The service says something on every stream at least every 15 seconds.
STREAM_SILENCE_SECONDS = 45.0


@dataclass(frozen=True)
class Connection:
    """An address without a slash at its end, a key, and how long one answer may take."""

    url: str
    key: str
    timeout_seconds: float

    @property
    def headers(self) -> dict[str, str]:
        """Sent with every request."""
        told = {"User-Agent": f"loquela/{metadata.version('loquela')}"}
        return told | ({"Authorization": f"Bearer {self.key}"} if self.key else {})

    @property
    def stream_timeout(self) -> httpx.Timeout:
        """For answers that are written as things happen."""
        return httpx.Timeout(self.timeout_seconds, read=STREAM_SILENCE_SECONDS)


def connection(url: str | None, key: str | None, timeout_seconds: float) -> Connection:
    """What is given, else LOQUELA_SERVER and LOQUELA_API_KEY, else this machine's service without a key.

    Raises RecipeError(CONFIG_INVALID) for an address that is no http or https URL, or holds a name and password.
    """
    given = (url or os.environ.get("LOQUELA_SERVER") or DEFAULT_URL).rstrip("/")
    try:
        parsed = httpx.URL(given)
    except httpx.InvalidURL as error:
        raise _unfit(f"the address of the service cannot be read: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise _unfit(f"{given!r} is no address of a service")
    if parsed.userinfo:
        raise _unfit("the address of the service holds a name or password")
    return Connection(given, key if key is not None else os.environ.get("LOQUELA_API_KEY", ""), timeout_seconds)


def pause_before(try_number: int, response: httpx.Response | None) -> float:
    """Seconds to wait before try 2, 3, …: what the server asks for, else twice as long each time."""
    asked = response.headers.get("retry-after", "") if response is not None else ""
    wanted = float(asked) if asked.isdigit() else FIRST_PAUSE_SECONDS * 2 ** (try_number - 2)
    return min(wanted, LONGEST_PAUSE_SECONDS)


def _unfit(why: str) -> RecipeError:
    return RecipeError(
        ErrorCode.CONFIG_INVALID,
        why,
        f"write it as {DEFAULT_URL} or https://host; the key belongs in LOQUELA_API_KEY",
    )
