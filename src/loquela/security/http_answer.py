"""What a web server's answer means: the file, a part of it, a refusal, or "come back later"."""

from __future__ import annotations

import email.utils
import re
from datetime import UTC, datetime

import httpx

from loquela.core.errors import DataError, ErrorCode, LoquelaError, ResourceError
from loquela.core.model import BoundaryModel

RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


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


class TryAgain(Exception):
    """An attempt that may succeed later, after `pause_seconds` if the server asked for a pause."""

    def __init__(self, failure: LoquelaError, pause_seconds: float | None = None) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.pause_seconds = pause_seconds


def read_answer(response: httpx.Response) -> Answer:
    """The answer's headers; the size of a part is that of the whole file it belongs to."""
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


def continues(response: httpx.Response, answer: Answer, earlier: Answer | None, offset: int) -> bool:
    """Whether a 206 holds exactly the missing end of the file that was begun."""
    start = re.match(r"bytes (\d+)-", response.headers.get("content-range", ""))
    known = earlier.total_bytes if earlier is not None else None
    return start is not None and int(start[1]) == offset and (known is None or answer.total_bytes == known)


def require_ok(response: httpx.Response, url: str) -> None:
    """Return for 200 and 206; TryAgain, DataError(DATA_NOT_FOUND), ResourceError(AUTH_FAILED, NETWORK_ERROR) else."""
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
            "give the source a credential that may read it, or fetch it yourself and give its path in data.sources",
            details={"url": url, "status": status},
        )
    failure = network_failure(ErrorCode.NETWORK_ERROR, f"{url} answers {reason}", retryable=status in RETRIED_STATUS)
    failure.details["status"] = status
    if not failure.retryable:
        raise failure
    raise TryAgain(failure, retry_after(response))


def retry_after(response: httpx.Response) -> float | None:
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


def network_failure(code: ErrorCode, message: str, *, retryable: bool = True) -> ResourceError:
    """The error for a network that did not do its part."""
    return ResourceError(
        code,
        message,
        "check the network and the address, then run the same command again: what has arrived is kept",
        retryable=retryable,
    )
