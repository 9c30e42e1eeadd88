"""Tarballs in an S3-compatible bucket: <prefix>/sha256/ab/<hex>."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from loquela.artifacts.crash_points import crash_point
from loquela.artifacts.store.bucket_client import PART_BYTES, PARTS_AT_ONCE, PURPOSE, Client
from loquela.artifacts.store.contract import DIGEST, Blob, not_there
from loquela.core.errors import ErrorCode, ResourceError
from loquela.core.extras import require

PIECE_BYTES = 1 << 20
FOLDER, USERS = "sha256", "users"
REFUSALS = ("PermissionDeniedError", "UnauthenticatedError")
STATUS = re.compile(r"status code: (\d{3})")
CODE = re.compile(r"<Code>([A-Za-z0-9_.-]{1,60})</Code>")
NO_CREDENTIALS = ("169.254.169.254", "InstanceCredential")


class BucketStore:
    """The store below one prefix of one bucket; `ArtifactStore` says what each method does."""

    def __init__(self, client: Client, address: str) -> None:
        self.address = address
        self._client = client
        self._errors: type[Exception] = require("obstore.exceptions", extra="service", purpose=PURPOSE).BaseError

    def put(self, sha256: str, size_bytes: int, pieces: Iterator[bytes]) -> None:
        """In parts, that become an object when all are there; a writer that dies leaves parts, and no object."""
        with self._told():
            self._client.put(
                _key(sha256),
                _passing(pieces),
                use_multipart=True,
                chunk_size=PART_BYTES,
                max_concurrency=PARTS_AT_ONCE,
            )
        crash_point("stored")

    def size(self, sha256: str) -> int | None:
        """The object's size."""
        with self._told():
            try:
                return self._client.head(_key(sha256))["size"]
            except FileNotFoundError:
                return None

    def read(self, sha256: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Pieces of the object as they arrive."""
        options: dict[str, object] = {}
        if end is not None:
            if end <= start:
                return
            options["range"] = (start, end)
        elif start:
            options["range"] = {"offset": start}
        with self._told():
            try:
                for piece in self._client.get(_key(sha256), options=options).stream(PIECE_BYTES):
                    yield bytes(piece)
            except FileNotFoundError:
                raise not_there(self, sha256) from None

    def remove(self, sha256: str) -> None:
        """Delete the object."""
        with self._told():
            try:
                self._client.delete(_key(sha256))
            except FileNotFoundError:
                return

    def blobs(self) -> Iterator[Blob]:
        """Every object that is called like a digest."""
        with self._told():
            for group in self._client.list(FOLDER):
                for meta in group:
                    name = meta["path"].rpartition("/")[2]
                    if DIGEST.fullmatch(name):
                        yield Blob(name, meta["size"], meta["last_modified"].timestamp())

    def sign(self, user: str) -> None:
        """A small object of that name."""
        with self._told():
            self._client.put(
                f"{USERS}/{user}", iter([b"\n"]), use_multipart=False, chunk_size=PART_BYTES, max_concurrency=1
            )

    def users(self) -> set[str]:
        """The objects' names."""
        with self._told():
            return {meta["path"].rpartition("/")[2] for group in self._client.list(USERS) for meta in group}

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> ResourceError:
        """The client's own text holds whole addresses: of it only the status and the server's code are shown."""
        text = str(error)
        status, code = STATUS.search(text), CODE.search(text)
        said = " ".join(found[1] for found in (status, code) if found)
        if type(error).__name__ in REFUSALS or any(sign in text for sign in NO_CREDENTIALS):
            return ResourceError(
                ErrorCode.AUTH_FAILED,
                f"{self.address} refuses access{f' ({said})' if said else ''}",
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or artifact_credential, to a key that may read and "
                "write there",
                retryable=True,
            )
        return ResourceError(
            ErrorCode.NETWORK_ERROR,
            f"{self.address} cannot be used: " + (f"it answers {said}" if said else "it does not answer"),
            "check the bucket, artifact_endpoint_url and the network; it is tried again by itself",
            retryable=True,
        )


def _key(sha256: str) -> str:
    return f"{FOLDER}/{sha256[:2]}/{sha256}"


def _passing(pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        crash_point("storing")
