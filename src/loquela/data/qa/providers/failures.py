"""How the two SDKs word a failed call, in one place: they are made by one generator and fail alike."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import ModuleType

from loquela.data.qa.providers.contract import FailureKind, ProviderFailure

LONGEST_MESSAGE = 300
HTTP_LIBRARIES = ("httpx", "httpx2", "httpcore", "httpcore2")
_SECRET = re.compile(r"\b(?:sk|key|pk)-[\w*.-]{4,}")
_STATUS: dict[int, FailureKind] = {401: "auth", 403: "auth", 408: "timeout", 409: "server", 429: "rate_limited"}
# "overloaded", which asks for less traffic just as 429 does.
OVERLOADED = 529


@contextmanager
def told_alike(sdk: ModuleType, secret: str) -> Iterator[None]:
    """Raise whatever `sdk` raises inside as a ProviderFailure that names no credential."""
    try:
        yield
    except sdk.APIStatusError as error:
        raise _of_status(int(error.status_code), str(error.message), error.response.headers, secret) from None
    except sdk.APITimeoutError:
        raise ProviderFailure("timeout", "no answer within the time limit") from None
    except sdk.APIConnectionError as error:
        raise ProviderFailure("connection", without_secrets(str(error.__cause__ or error), secret)) from None
    except (sdk.APIError, ValueError) as error:
        raise ProviderFailure("unreadable", without_secrets(f"{type(error).__name__}: {error}", secret)) from None
    except Exception as error:
        # While a body is read piece by piece, the SDKs let the errors of their HTTP library through.
        if type(error).__module__.partition(".")[0] not in HTTP_LIBRARIES:
            raise
        raise ProviderFailure("connection", without_secrets(f"{type(error).__name__}: {error}", secret)) from None


def _of_status(status: int, message: str, headers: Mapping[str, str], secret: str) -> ProviderFailure:
    if status == OVERLOADED:
        kind: FailureKind = "rate_limited"
    else:
        kind = _STATUS.get(status, "server" if status >= 500 else "refused_request")
    # What a server says about a wrong key may quote the key.
    said = f"HTTP {status}" if kind == "auth" else f"HTTP {status}: {without_secrets(message, secret)}"
    return ProviderFailure(kind, said, retry_after_seconds=retry_after_seconds(headers.get("retry-after")))


def retry_after_seconds(header: str | None) -> float | None:
    """The waiting time of a Retry-After header, given in seconds or as a date; None when it says none."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return None
    return max(0.0, (moment.astimezone(UTC) - datetime.now(UTC)).total_seconds())


def without_secrets(text: str, secret: str) -> str:
    """`text` on one line, shortened, with the credential and whatever looks like one taken out."""
    if secret:
        text = text.replace(secret, "…")
    text = _SECRET.sub("…", " ".join(text.split()))
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 1] + "…"
