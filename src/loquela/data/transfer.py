"""One download that survives cuts: retried, resumed where it stopped, and never mistaken for whole when it is not.

Bytes go to `NAME.part`, what the server said about them to `NAME.part.json`. A later attempt, in this process or
the next, asks only for the rest (Range), on condition that the file is still the same (If-Range).
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import httpx
from pydantic import ValidationError

from loquela.core.atomic import write_error, write_json
from loquela.core.errors import DataError, ErrorCode, LoquelaError, RecipeError, ResourceError
from loquela.core.model import BoundaryModel
from loquela.security.http import checked_url, guarded_client

Result = TypeVar("Result")

RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class TransferPolicy:
    """Limits of a download; the pause before retry n is `backoff_seconds` · 2^n, or what Retry-After says."""

    allow_private: bool = False
    timeout_seconds: float = 30.0
    total_seconds: float = 3600.0
    max_bytes: int = 10**9
    retries: int = 3
    backoff_seconds: float = 1.0
    longest_pause_seconds: float = 120.0


class Answer(BoundaryModel):
    """What the server said about a file; `total_bytes` is None where it did not say."""

    url: str
    total_bytes: int | None = None
    etag: str | None = None
    last_modified: str | None = None
    content_type: str | None = None

    @property
    def validator(self) -> str | None:
        """A value for If-Range: a strong etag or a date; a weak etag promises nothing about bytes."""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified


class _TryAgain(Exception):
    """An attempt that may succeed later, after `pause_seconds` if the server asked for a pause."""

    def __init__(self, failure: LoquelaError, pause_seconds: float | None = None) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.pause_seconds = pause_seconds


def transfer(url: str, part: Path, policy: TransferPolicy) -> Answer:
    """Bring `url` into `part`, whole. Bytes of an earlier try that are still valid are kept.

    Raises RecipeError(INVALID_SOURCE), DataError (DATA_NOT_FOUND, UNSUPPORTED_FORMAT), ResourceError (AUTH_FAILED,
    NETWORK_ERROR, TIMEOUT, INSUFFICIENT_RESOURCES, DISK_FULL).
    """
    deadline = time.monotonic() + policy.total_seconds
    return _with_retries(url, policy, lambda client: _attempt(client, url, part, policy, deadline))


def probe(url: str, policy: TransferPolicy) -> Answer:
    """Ask for the size of `url` without its body; raises as `transfer` does."""
    return _with_retries(url, policy, lambda client: _probe_once(client, url))


def _probe_once(client: httpx.Client, url: str) -> Answer:
    response = client.head(url)
    if response.status_code in (400, 403, 405, 501):  # servers that do not answer HEAD
        with client.stream("GET", url, headers={"Range": "bytes=0-0"}) as response:
            _raise_for_status(response, url)
            return _answer(response)
    _raise_for_status(response, url)
    return _answer(response)


def _with_retries(url: str, policy: TransferPolicy, attempt: Callable[[httpx.Client], Result]) -> Result:
    checked_url(url)
    with guarded_client(
        allow_private=policy.allow_private,
        timeout_seconds=policy.timeout_seconds,
        user_agent="loquela",
    ) as client:
        number = 0
        while True:
            try:
                return _translated(url, policy, lambda: attempt(client))
            except _TryAgain as again:
                pause = policy.backoff_seconds * 2**number if again.pause_seconds is None else again.pause_seconds
                if number == policy.retries or pause > policy.longest_pause_seconds:
                    raise again.failure from again
            time.sleep(pause)
            number += 1


def _translated(url: str, policy: TransferPolicy, attempt: Callable[[], Result]) -> Result:
    """Run one attempt; what the network does wrong becomes `_TryAgain`, what the address does wrong an error."""
    try:
        return attempt()
    except httpx.TimeoutException as error:
        raise _TryAgain(
            _network(ErrorCode.TIMEOUT, f"{url} sent nothing for {policy.timeout_seconds:g} s ({type(error).__name__})")
        ) from error
    except (httpx.TooManyRedirects, httpx.UnsupportedProtocol) as error:
        raise RecipeError(
            ErrorCode.INVALID_SOURCE, f"{url} cannot be fetched: {error}", "correct the address in data.sources"
        ) from error
    except httpx.TransportError as error:
        raise _TryAgain(_network(ErrorCode.NETWORK_ERROR, f"the connection to {url} failed: {error}")) from error
    except ResourceError as error:
        if error.retryable:
            raise _TryAgain(error) from error
        raise


def _attempt(client: httpx.Client, url: str, part: Path, policy: TransferPolicy, deadline: float) -> Answer:
    earlier = _earlier_answer(part)
    offset = part.stat().st_size if earlier is not None else 0
    if earlier is not None and earlier.total_bytes == offset:
        return earlier
    headers: dict[str, str] = {}
    if earlier is not None and earlier.validator and offset:
        headers = {"Range": f"bytes={offset}-", "If-Range": earlier.validator}
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == 416 and headers:
            _forget(part)
            raise _TryAgain(_network(ErrorCode.NETWORK_ERROR, f"{url} changed while it was downloaded"), 0.0)
        _raise_for_status(response, url)
        answer = _answer(response)
        _check_content(response, answer, url, policy)
        if response.status_code == 206 and not (headers and _continues(response, answer, earlier, offset)):
            _forget(part)
            raise _TryAgain(_network(ErrorCode.NETWORK_ERROR, f"{url} sent another part than the one asked for"), 0.0)
        resumed = response.status_code == 206
        if not resumed:
            _forget(part)
            write_json(_answer_path(part), answer.model_dump(mode="json"))
        _append(response, part, url, policy, deadline)
    size = part.stat().st_size
    if answer.total_bytes is not None and size != answer.total_bytes:
        raise _TryAgain(_network(ErrorCode.NETWORK_ERROR, f"{url} promised {answer.total_bytes} bytes and sent {size}"))
    return answer


def _append(response: httpx.Response, part: Path, url: str, policy: TransferPolicy, deadline: float) -> None:
    """Write the body to the end of `part` as it arrives, within the limits of size and time."""
    try:
        with part.open("ab", buffering=0) as stream:
            size = stream.tell()
            for chunk in response.iter_raw():
                size += len(chunk)
                if size > policy.max_bytes:
                    raise _too_large(url, f"more than {policy.max_bytes:,}", policy)
                if time.monotonic() > deadline:
                    raise _too_slow(url, size, policy)
                stream.write(chunk)
    except OSError as error:
        raise write_error(error, part) from error


def _earlier_answer(part: Path) -> Answer | None:
    """What the server said when `part` was begun; None when there is nothing to go on from."""
    try:
        answer = Answer.model_validate_json(_answer_path(part).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return answer if part.is_file() else None


def _answer_path(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _answer_path(part).unlink(missing_ok=True)


def _answer(response: httpx.Response) -> Answer:
    headers = response.headers
    total: int | None = None
    if response.status_code == 206:
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", headers.get("content-range", "").strip())
        total = int(match[3]) if match else None
    elif headers.get("content-length", "").isdigit():
        total = int(headers["content-length"])
    return Answer(
        url=str(response.url),
        total_bytes=total,
        etag=headers.get("etag"),
        last_modified=headers.get("last-modified"),
        content_type=headers.get("content-type"),
    )


def _continues(response: httpx.Response, answer: Answer, earlier: Answer | None, offset: int) -> bool:
    """Whether a 206 holds exactly the missing end of the file that was begun."""
    start = re.match(r"bytes (\d+)-", response.headers.get("content-range", ""))
    known = earlier.total_bytes if earlier is not None else None
    return start is not None and int(start[1]) == offset and (known is None or answer.total_bytes == known)


def _check_content(response: httpx.Response, answer: Answer, url: str, policy: TransferPolicy) -> None:
    if response.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        raise _unsupported(url, f"sent {response.headers['content-encoding']}-compressed data though asked not to")
    if (answer.content_type or "").lower().startswith(("text/html", "application/xhtml")):
        raise _unsupported(url, f"answers with a web page ({answer.content_type}), not with plain text")
    if answer.total_bytes is not None and answer.total_bytes > policy.max_bytes:
        raise _too_large(url, f"{answer.total_bytes:,}", policy)


def _raise_for_status(response: httpx.Response, url: str) -> None:
    status = response.status_code
    if status in (200, 206):
        return
    reason = f"{status} {response.reason_phrase}".strip()
    if status in (404, 410):
        raise DataError(
            ErrorCode.DATA_NOT_FOUND,
            f"{url} answers {reason}",
            "correct the address in data.sources",
            details={"url": url, "status": status},
        )
    if status in (401, 403, 407):
        raise ResourceError(
            ErrorCode.AUTH_FAILED,
            f"{url} refuses access: {reason}",
            "download the file yourself and give its path in data.sources",
            details={"url": url, "status": status},
        )
    failure = _network(ErrorCode.NETWORK_ERROR, f"{url} answers {reason}", retryable=status in RETRIED_STATUS)
    if not failure.retryable:
        raise failure
    raise _TryAgain(failure, _retry_after(response))


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds that the server asks to wait (RFC 9110, 10.2.3: a number or a date); None when it does not."""
    text = response.headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _network(code: ErrorCode, message: str, *, retryable: bool = True) -> ResourceError:
    return ResourceError(
        code,
        message,
        "check the network and the address, then run the same command again: what has arrived is kept",
        retryable=retryable,
    )


def _unsupported(url: str, what: str) -> DataError:
    return DataError(
        ErrorCode.UNSUPPORTED_FORMAT, f"{url} {what}", "give the address of a plain text file", details={"url": url}
    )


def _too_slow(url: str, size: int, policy: TransferPolicy) -> ResourceError:
    return ResourceError(
        ErrorCode.TIMEOUT,
        f"{url} took longer than {policy.total_seconds:g} s in all; {size:,} bytes are kept",
        "run the same command again: it goes on where it stopped; or raise data.timeout_seconds",
        details={"url": url, "bytes": size},
    )


def _too_large(url: str, size: str, policy: TransferPolicy) -> ResourceError:
    return ResourceError(
        ErrorCode.INSUFFICIENT_RESOURCES,
        f"{url} has {size} bytes; with data.corpus_size_mb as it is, at most {policy.max_bytes:,} are fetched",
        "set data.corpus_size_mb to the real size of the corpus, so that the disk check knows it",
        details={"url": url, "max_bytes": policy.max_bytes},
    )
