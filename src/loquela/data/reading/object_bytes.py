"""The bytes of an object in chunks, with errors that say what failed and whether trying again may help."""

from __future__ import annotations

from collections.abc import Iterator

from loquela.core.errors import DataError, ErrorCode, ResourceError
from loquela.data.source_object import SourceObject

READ_BYTES = 1 << 20


def object_chunks(source: SourceObject, start: int = 0, size: int = READ_BYTES) -> Iterator[bytes]:
    """The bytes of `source` from `start` on.

    Raises DataError(READ_FAILED), ResourceError(TIMEOUT); errors that the object itself raises pass through.
    """
    try:
        with source.open_at(start) as stream:
            while chunk := stream.read(size):
                yield chunk
    except OSError as error:
        raise read_failure(source.name, error) from error


def read_failure(name: str, error: OSError) -> DataError | ResourceError:
    """The typed error for an `OSError` while reading the object `name`."""
    if isinstance(error, TimeoutError):
        return ResourceError(
            ErrorCode.TIMEOUT,
            f"reading {name} took too long: {error.strerror or error}",
            "run the same command again, or raise data.timeout_seconds",
            retryable=True,
            details={"source": name},
        )
    return DataError(
        ErrorCode.READ_FAILED,
        f"reading {name} failed: {error.strerror or error}",
        "check that it is still there and may be read, then run the same command again",
        details={"source": name},
    )
