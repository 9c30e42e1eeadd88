"""One download that survives cuts: retried, resumed where it stopped, and never mistaken for whole when it is not.

Bytes go to `NAME.part`, what the server said about them to `NAME.part.json`. A later attempt, in this process or
the next, asks only for the rest (Range), on condition that the file is still the same (If-Range).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import httpx
from pydantic import ValidationError

from loquela.core.atomic import write_error, write_json
from loquela.core.errors import DataError, ErrorCode, ResourceError
from loquela.security.http import checked_url, guarded_client
from loquela.security.http_answer import Answer, TryAgain, continues, network_failure, read_answer, require_ok
from loquela.security.http_auth import BoundHeaders
from loquela.security.http_policy import HttpPolicy
from loquela.security.http_retries import with_retries

Result = TypeVar("Result")


def transfer(url: str, part: Path, policy: HttpPolicy, bound: BoundHeaders | None = None) -> Answer:
    """Bring `url` into `part`, whole. Bytes of an earlier try that are still valid are kept.

    Raises RecipeError(INVALID_SOURCE), DataError (DATA_NOT_FOUND, UNSUPPORTED_FORMAT), ResourceError (AUTH_FAILED,
    NETWORK_ERROR, TIMEOUT, INSUFFICIENT_RESOURCES, DISK_FULL).
    """
    deadline = time.monotonic() + policy.total_seconds
    return _with_client(url, policy, bound, lambda client: _in_time(client, url, part, policy, deadline))


def probe(url: str, policy: HttpPolicy, bound: BoundHeaders | None = None) -> Answer:
    """Ask for the size of `url` without its body; raises as `transfer` does."""
    return _with_client(url, policy, bound, lambda client: _probe_once(client, url))


def _probe_once(client: httpx.Client, url: str) -> Answer:
    response = client.head(url)
    if response.status_code in (400, 403, 405, 501):  # servers that do not answer HEAD
        with client.stream("GET", url, headers={"Range": "bytes=0-0"}) as response:
            require_ok(response, url)
            return read_answer(response)
    require_ok(response, url)
    return read_answer(response)


def _with_client(
    url: str, policy: HttpPolicy, bound: BoundHeaders | None, attempt: Callable[[httpx.Client], Result]
) -> Result:
    checked_url(url)
    with guarded_client(
        allow_private=policy.allow_private,
        timeout_seconds=policy.timeout_seconds,
        user_agent="loquela",
        bound=bound,
    ) as client:
        return with_retries(url, policy, lambda: attempt(client))


def _in_time(client: httpx.Client, url: str, part: Path, policy: HttpPolicy, deadline: float) -> Answer:
    try:
        return _attempt(client, url, part, policy, deadline)
    except httpx.TimeoutException as error:
        if time.monotonic() < deadline:
            raise
        raise _too_slow(url, part.stat().st_size if part.exists() else 0, policy) from error


def _attempt(client: httpx.Client, url: str, part: Path, policy: HttpPolicy, deadline: float) -> Answer:
    earlier = _earlier_answer(part)
    offset = part.stat().st_size if earlier is not None else 0
    if earlier is not None and earlier.total_bytes == offset:
        return earlier
    headers: dict[str, str] = {}
    if earlier is not None and earlier.validator and offset:
        headers = {"Range": f"bytes={offset}-", "If-Range": earlier.validator}
    with client.stream("GET", url, headers=headers, extensions={"deadline": deadline}) as response:
        if response.status_code == 416 and headers:
            _forget(part)
            raise TryAgain(network_failure(ErrorCode.NETWORK_ERROR, f"{url} changed while it was downloaded"), 0.0)
        require_ok(response, url)
        answer = read_answer(response)
        _check_content(response, answer, url, policy)
        if response.status_code == 206 and not (headers and continues(response, answer, earlier, offset)):
            _forget(part)
            raise TryAgain(
                network_failure(ErrorCode.NETWORK_ERROR, f"{url} sent another part than the one asked for"), 0.0
            )
        resumed = response.status_code == 206
        if not resumed:
            _forget(part)
            write_json(_answer_path(part), answer.model_dump(mode="json"))
        _append(response, part, url, policy, deadline)
    size = part.stat().st_size
    if answer.total_bytes is not None and size != answer.total_bytes:
        raise TryAgain(
            network_failure(ErrorCode.NETWORK_ERROR, f"{url} promised {answer.total_bytes} bytes and sent {size}")
        )
    return answer


def _append(response: httpx.Response, part: Path, url: str, policy: HttpPolicy, deadline: float) -> None:
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


def _check_content(response: httpx.Response, answer: Answer, url: str, policy: HttpPolicy) -> None:
    if response.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        raise _unsupported(url, f"sent {response.headers['content-encoding']}-compressed data though asked not to")
    if (answer.content_type or "").lower().startswith(("text/html", "application/xhtml")):
        raise _unsupported(url, f"answers with a web page ({answer.content_type}), not with plain text")
    if answer.total_bytes is not None and answer.total_bytes > policy.max_bytes:
        raise _too_large(url, f"{answer.total_bytes:,}", policy)


def _unsupported(url: str, what: str) -> DataError:
    return DataError(
        ErrorCode.UNSUPPORTED_FORMAT, f"{url} {what}", "give the address of a plain text file", details={"url": url}
    )


def _too_slow(url: str, size: int, policy: HttpPolicy) -> ResourceError:
    return ResourceError(
        ErrorCode.TIMEOUT,
        f"{url} took longer than {policy.total_seconds:g} s in all; {size:,} bytes are kept",
        "run the same command again: it goes on where it stopped; or raise data.timeout_seconds",
        details={"url": url, "bytes": size},
    )


def _too_large(url: str, size: str, policy: HttpPolicy) -> ResourceError:
    return ResourceError(
        ErrorCode.INSUFFICIENT_RESOURCES,
        f"{url} has {size} bytes; with data.corpus_size_mb as it is, at most {policy.max_bytes:,} are fetched",
        "set data.corpus_size_mb to the real size of the corpus, so that the disk check knows it",
        details={"url": url, "max_bytes": policy.max_bytes},
    )
