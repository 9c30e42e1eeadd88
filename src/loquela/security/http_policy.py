"""The limits of everything that is fetched, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HttpPolicy:
    """Limits of one fetch, all its attempts together.

    The pause before retry n is `backoff_seconds` · 2^n, or what Retry-After says; a longer one than
    `longest_pause_seconds` is not waited for. `max_bytes` is of the body as it is kept, `max_ratio` how many times
    larger than what came over the wire it may become.
    """

    allow_private: bool = False
    timeout_seconds: float = 30.0
    total_seconds: float = 3600.0
    max_bytes: int = 10**9
    max_ratio: int = 200
    retries: int = 3
    backoff_seconds: float = 1.0
    longest_pause_seconds: float = 120.0
