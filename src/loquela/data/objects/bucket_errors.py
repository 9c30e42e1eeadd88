"""What a bucket's client raises → our errors. Its own text holds whole addresses, signatures included: never shown."""

from __future__ import annotations

import re

from loquela.core.errors import DataError, ErrorCode, LoquelaError, RecipeError, ResourceError

STATUS = re.compile(r"status code: (\d{3})|\bHTTP status (\d{3})")
CODE = re.compile(r"<Code>([A-Za-z0-9_.-]{1,60})</Code>")
NO_CREDENTIALS = ("169.254.169.254", "metadata.google.internal", "InstanceCredential", "/metadata/identity")
SLOW = ("timed out", "TimedOut", "timeout")
VARIABLES = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}


def bucket_error(error: Exception, name: str, scheme: str) -> LoquelaError:
    """The error for what went wrong with `name` (s3://bucket/key)."""
    text = str(error)
    status = _status(text)
    code = CODE.search(text)
    said = " ".join(part for part in (str(status or ""), code[1] if code else "") if part)
    kind = type(error).__name__
    if kind == "PreconditionError" or status == 412:
        return DataError(
            ErrorCode.DATA_CHANGED,
            f"{name} changed while it was read",
            "wait until nobody writes there any more, then run the same command again",
            details={"source": name},
        )
    if isinstance(error, FileNotFoundError) or status == 404:
        what = "the bucket" if code and code[1] in ("NoSuchBucket", "ContainerNotFound") else "the object"
        return DataError(
            ErrorCode.DATA_NOT_FOUND,
            f"there is no {name}: {what} does not exist" + (f" ({said})" if said else ""),
            "correct the address in data.sources",
            details={"source": name},
        )
    if any(sign in text for sign in NO_CREDENTIALS):
        return _unauthorised(name, scheme, "no credentials were found in the environment")
    if kind in ("PermissionDeniedError", "UnauthenticatedError") or status in (401, 403):
        return _unauthorised(name, scheme, f"access is refused{f' ({said})' if said else ''}")
    if status in (301, 307, 308) or (code and code[1] in ("PermanentRedirect", "AuthorizationHeaderMalformed")):
        return RecipeError(
            ErrorCode.INVALID_SOURCE,
            f"{name} lies in another region than the one that was asked",
            "set objects.region of the source's entry to the bucket's region",
            details={"source": name},
        )
    slow = any(sign in text for sign in SLOW)
    return ResourceError(
        ErrorCode.TIMEOUT if slow else ErrorCode.NETWORK_ERROR,
        f"reading {name} failed: "
        + ("the server did not answer in time" if slow else f"the server answers {said}" if said else _short(text)),
        "check the network and objects.endpoint, then run the same command again",
        retryable=True,
        details={"source": name, "status": status},
    )


def _status(text: str) -> int | None:
    found = STATUS.search(text)
    return int(found[1] or found[2]) if found else None


def _short(text: str) -> str:
    """The last words of the client's message, which name the cause, without any address."""
    first = text.partition("\n")[0]
    cause = first.rpartition(" - ")[2] if " - " in first else "the connection broke"
    return re.sub(r"https?://\S+", "…", cause)[:120]


def _unauthorised(name: str, scheme: str, why: str) -> ResourceError:
    return ResourceError(
        ErrorCode.AUTH_FAILED,
        f"{name} cannot be read: {why}",
        f"set {VARIABLES[scheme]}, or name a credential in the source's entry; for a public bucket set "
        "objects.anonymous: true",
        details={"source": name},
    )
