"""obstore's S3 client, typed as far as it is used here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Protocol, TypedDict

from loquela.core.extras import require

PART_BYTES = 16 * 2**20
PARTS_AT_ONCE = 3
PURPOSE = "keeping artifacts in a bucket"


class ObjectMeta(TypedDict):
    """One object of a listing."""

    path: str
    size: int
    last_modified: datetime


class GetResult(Protocol):
    """An answer whose body streams once."""

    def stream(self, min_chunk_size: int) -> Iterable[bytes]:
        """Pieces of at least that size, but for the last."""


class Client(Protocol):
    """A bucket, below a prefix."""

    def put(
        self, path: str, file: Iterator[bytes], *, use_multipart: bool, chunk_size: int, max_concurrency: int
    ) -> object:
        """Keep an object, whole or not at all; an error of `file` is raised as it is."""

    def head(self, path: str) -> ObjectMeta:
        """One object; FileNotFoundError where it is not."""

    def get(self, path: str, *, options: Mapping[str, object]) -> GetResult:
        """Its bytes, or a range of them; FileNotFoundError where it is not."""

    def delete(self, paths: str) -> None:
        """Remove one."""

    def list(self, prefix: str) -> Iterable[list[ObjectMeta]]:
        """All objects below a prefix."""


class _ClientClass(Protocol):
    def __call__(
        self,
        bucket: str,
        *,
        prefix: str | None,
        config: Mapping[str, str],
        client_options: Mapping[str, object],
        retry_config: Mapping[str, object],
    ) -> Client: ...


def connect(bucket: str, prefix: str, config: Mapping[str, str], *, plain_http: bool, timeout_seconds: float) -> Client:
    """A client of `bucket`; what `config` leaves open comes from the AWS variables. Nothing is asked of it yet.

    ResourceError(MISSING_EXTRA) without obstore.
    """
    make: _ClientClass = require("obstore.store", extra="service", purpose=PURPOSE).S3Store
    return make(
        bucket,
        prefix=prefix or None,
        config=config,
        client_options={
            "allow_http": plain_http,
            "connect_timeout": timedelta(seconds=timeout_seconds),
            "read_timeout": timedelta(seconds=timeout_seconds),
            # A part may be long under way; a connection that says nothing is noticed by the read timeout.
            "timeout": timedelta(hours=6),
            "user_agent": "loquela",
        },
        retry_config={
            "max_retries": 3,
            "retry_timeout": timedelta(seconds=3 * timeout_seconds),
            "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
        },
    )
