"""What a store of tarballs can do; the same tests hold for each."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from loquela.core.errors import DataError, ErrorCode

DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Blob:
    """One tarball of a store; `at` is when it was written, in seconds since 1970, UTC."""

    sha256: str
    size_bytes: int
    at: float


class ArtifactStore(Protocol):
    """Tarballs by their SHA-256. Each is whole or absent, and never changes. Safe to use from several threads.

    Every method raises ResourceError when the store cannot be used; retryable where it may come back.
    """

    address: str
    """Where it is, without secrets: what rows and people are told."""

    def put(self, sha256: str, size_bytes: int, pieces: Iterator[bytes]) -> None:
        """Keep the bytes, of which there are so many; when `pieces` raises nothing is kept, and that is raised."""

    def size(self, sha256: str) -> int | None:
        """The size of one; None where it is not there."""

    def read(self, sha256: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Its bytes from `start` up to, not including, `end`; DataError(DATA_NOT_FOUND) where it is not there."""

    def remove(self, sha256: str) -> None:
        """Forget one; where it is not there, that is so already."""

    def blobs(self) -> Iterator[Blob]:
        """All of them, in no order."""

    def sign(self, user: str) -> None:
        """Leave the name of somebody who keeps tarballs here, so that others know of them."""

    def users(self) -> set[str]:
        """Everybody who has signed."""


def prove(store: ArtifactStore, sha256: str, size_bytes: int) -> None:
    """Read one back, all of it; DataError: DATA_NOT_FOUND where it is not there, CORRUPTION where it is another."""
    found = store.size(sha256)
    if found is None:
        raise not_there(store, sha256)
    digest = hashlib.sha256()
    read = 0
    for piece in store.read(sha256):
        digest.update(piece)
        read += len(piece)
    if found != size_bytes or read != size_bytes or digest.hexdigest() != sha256:
        raise DataError(
            ErrorCode.CORRUPTION,
            f"{store.address} gives back {read} bytes of digest {digest.hexdigest()[:12]} for {sha256[:12]} of "
            f"{size_bytes} bytes",
            "check the disk or the bucket; what is still in the data folder is kept and stored again",
        )


def not_there(store: ArtifactStore, sha256: str) -> DataError:
    """The error for a tarball that a store does not have."""
    return DataError(
        ErrorCode.DATA_NOT_FOUND,
        f"{store.address} has no tarball {sha256[:12]}",
        "see whether it was removed there; a run that is still in the data folder is stored again",
    )
