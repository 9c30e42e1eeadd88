"""Attempts at an address: what may pass is tried again, after the pause that the server asks for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import httpx

from loquela.core.errors import ErrorCode, RecipeError, ResourceError
from loquela.security.http_answer import TryAgain, network_failure
from loquela.security.http_policy import HttpPolicy

Result = TypeVar("Result")


def with_retries(url: str, policy: HttpPolicy, attempt: Callable[[], Result]) -> Result:
    """The result of `attempt`, which is made again after failures that may pass, `policy.retries` times at most.

    Raises what `attempt` raises; httpx's errors become RecipeError(INVALID_SOURCE) or ResourceError (NETWORK_ERROR,
    TIMEOUT).
    """
    number = 0
    while True:
        try:
            return _translated(url, policy, attempt)
        except TryAgain as again:
            pause = policy.backoff_seconds * 2**number if again.pause_seconds is None else again.pause_seconds
            if number == policy.retries or pause > policy.longest_pause_seconds:
                raise again.failure from again
        time.sleep(pause)
        number += 1


def _translated(url: str, policy: HttpPolicy, attempt: Callable[[], Result]) -> Result:
    """Run one attempt; what the network does wrong becomes `TryAgain`, what the address does wrong an error."""
    try:
        return attempt()
    except httpx.TimeoutException as error:
        raise TryAgain(
            network_failure(
                ErrorCode.TIMEOUT, f"{url} sent nothing for {policy.timeout_seconds:g} s ({type(error).__name__})"
            )
        ) from error
    except (httpx.TooManyRedirects, httpx.UnsupportedProtocol) as error:
        raise RecipeError(
            ErrorCode.INVALID_SOURCE, f"{url} cannot be fetched: {error}", "correct the address in data.sources"
        ) from error
    except httpx.TransportError as error:
        raise TryAgain(network_failure(ErrorCode.NETWORK_ERROR, f"the connection to {url} failed: {error}")) from error
    except ResourceError as error:
        if error.retryable:
            raise TryAgain(error) from error
        raise
