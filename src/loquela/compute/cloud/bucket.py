"""Results copied to a bucket, read back and compared before anybody relies on them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from loquela.compute.cloud.done import DONE_NAME, Done
from loquela.core.errors import ErrorCode, ResourceError
from loquela.core.extras import require


class _Answer(Protocol):
    def stream(self, min_chunk_size: int = ...) -> Iterable[bytes]:
        """The object's bytes in pieces."""


class _Put(Protocol):
    def __call__(self, store: object, path: str, file: object) -> object: ...


class _Get(Protocol):
    def __call__(self, store: object, path: str) -> _Answer: ...


def copy_results(folder: Path, done: Done, address: str) -> None:
    """Put every file of `done` below `address`, prove each by its SHA-256 as it lies there, and the marker last.

    ResourceError: MISSING_EXTRA without obstore, NETWORK_ERROR when the bucket refuses, CORRUPTION when it gives back
    something else. Credentials come from the environment.
    """
    purpose = f"copying results to {address}"
    library = require("obstore", extra="data", purpose=purpose)
    stores = require("obstore.store", extra="data", purpose=purpose)
    errors = require("obstore.exceptions", extra="data", purpose=purpose)
    put: _Put = library.put
    get: _Get = library.get
    try:
        store = stores.from_url(address)
        for name, file in done.files.items():
            with (folder / name).open("rb") as stream:
                put(store, name, stream)
            if _digest(get(store, name)) != file.sha256:
                raise ResourceError(
                    ErrorCode.CORRUPTION, f"{address}/{name} is not what was written", "check the bucket, copy again"
                )
        put(store, DONE_NAME, done.model_dump_json().encode("utf-8"))
    except (OSError, errors.BaseError) as error:
        raise ResourceError(
            ErrorCode.NETWORK_ERROR,
            f"results cannot be copied to {address}: {error}",
            "check the bucket and its credentials in compute.cloud.forward_env",
            retryable=True,
        ) from error


def _digest(answer: _Answer) -> str:
    digest = hashlib.sha256()
    for piece in answer.stream():
        digest.update(piece)
    return digest.hexdigest()
