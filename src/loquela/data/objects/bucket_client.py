"""obstore, typed: one client for S3, Google Cloud Storage and Azure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Protocol, TypedDict

from loquela.core.extras import require


class ObjectMeta(TypedDict):
    """One object of a listing; `e_tag` names its bytes."""

    path: str
    size: int
    e_tag: str | None
    last_modified: datetime


class GetResult(Protocol):
    """An answer whose body streams once."""

    def stream(self, min_chunk_size: int) -> Iterable[bytes]:
        """Pieces of at least that size, but for the last."""


class Store(Protocol):
    """A bucket."""

    def list(self, prefix: str | None = None) -> Iterable[list[ObjectMeta]]:
        """All objects below a prefix of whole path segments."""

    def head(self, path: str) -> ObjectMeta:
        """One object."""

    def get(self, path: str, *, options: Mapping[str, object] | None = None) -> GetResult:
        """Its bytes, or a range of them."""


Setting = str | bool
CLASSES = {"s3": "S3Store", "gs": "GCSStore", "az": "AzureStore"}
# What a request may take beyond its timeout: a large object streams for long, and goes on where it stopped anyway.
REQUEST_TIMEOUT_FACTOR = 120


class _StoreClass(Protocol):
    def __call__(
        self,
        bucket: str,
        *,
        config: Mapping[str, Setting],
        client_options: Mapping[str, object],
        retry_config: Mapping[str, object],
    ) -> Store: ...


def connect(
    scheme: str,
    bucket: str,
    config: Mapping[str, Setting],
    *,
    timeout_seconds: float,
    retries: int,
    plain_http: bool,
) -> Store:
    """A client of `bucket`; ResourceError(MISSING_EXTRA) without obstore. Nothing is asked of the network yet."""
    module = require("obstore.store", extra="data", purpose=f"reading {scheme}://")
    make: _StoreClass = getattr(module, CLASSES[scheme])
    timeout = timedelta(seconds=timeout_seconds)
    return make(
        bucket,
        config=config,
        client_options={
            "allow_http": plain_http,
            "connect_timeout": timeout,
            "read_timeout": timeout,
            "timeout": REQUEST_TIMEOUT_FACTOR * timeout,
            "user_agent": "loquela",
        },
        retry_config={
            "max_retries": retries,
            "retry_timeout": timedelta(seconds=(retries + 1) * timeout_seconds),
            "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=10), "base": 2},
        },
    )


def listing(store: Store, prefix: str) -> Iterator[ObjectMeta]:
    """All objects below `prefix`, sorted by key (a store may list in any order)."""
    found = [meta for group in store.list(prefix or None) for meta in group]
    return iter(sorted(found, key=lambda meta: meta["path"]))
