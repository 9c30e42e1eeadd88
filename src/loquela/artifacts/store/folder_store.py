"""Tarballs in a folder: <root>/sha256/ab/<hex>, read-only files."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from loquela.artifacts.crash_points import crash_point
from loquela.artifacts.store.contract import DIGEST, Blob, not_there
from loquela.core.atomic import TEMPORARY_PREFIX, atomic_path, write_bytes
from loquela.core.errors import ErrorCode, ResourceError

PIECE_BYTES = 1 << 20
READ_ONLY = 0o444
# A run that trains on the same disk saves its checkpoints there.
LEFT_FREE_BYTES = 64 * 2**20
ABANDONED_SECONDS = 3600.0


class FolderStore:
    """The store below one folder; `ArtifactStore` says what each method does."""

    def __init__(self, root: Path) -> None:
        self.address = str(root)
        self._root, self._users = root / "sha256", root / "users"

    def put(self, sha256: str, size_bytes: int, pieces: Iterator[bytes]) -> None:
        """Written under another name, and renamed when it is whole and on the disk.

        ResourceError(DISK_FULL) before a byte is written where it would not leave room for others.
        """
        self._check_room(size_bytes)
        with atomic_path(self._place(sha256), READ_ONLY) as temporary, temporary.open("wb") as stream:
            for piece in pieces:
                stream.write(piece)
                crash_point("storing")
        crash_point("stored")

    def size(self, sha256: str) -> int | None:
        """The file's size."""
        try:
            return self._place(sha256).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._unusable(error) from error

    def read(self, sha256: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Pieces of the file."""
        try:
            with self._place(sha256).open("rb", buffering=0) as stream:
                stream.seek(start)
                left = None if end is None else max(0, end - start)
                while piece := stream.read(PIECE_BYTES if left is None else min(left, PIECE_BYTES)):
                    left = None if left is None else left - len(piece)
                    yield piece
        except FileNotFoundError:
            raise not_there(self, sha256) from None
        except OSError as error:
            raise self._unusable(error) from error

    def remove(self, sha256: str) -> None:
        """Unlink it."""
        try:
            self._place(sha256).unlink(missing_ok=True)
        except OSError as error:
            raise self._unusable(error) from error

    def blobs(self) -> Iterator[Blob]:
        """Every file that is called like a digest; what a writer that died left goes after an hour."""
        for path in self._root.glob("??/*"):
            try:
                found = path.stat()
                if DIGEST.fullmatch(path.name):
                    yield Blob(path.name, found.st_size, found.st_mtime)
                elif path.name.startswith(TEMPORARY_PREFIX) and time.time() - found.st_mtime > ABANDONED_SECONDS:
                    path.unlink()
            except FileNotFoundError:
                continue  # removed by somebody else meanwhile

    def sign(self, user: str) -> None:
        """An empty file of that name."""
        write_bytes(self._users / user, b"", READ_ONLY)

    def users(self) -> set[str]:
        """The files' names."""
        try:
            return {path.name for path in self._users.iterdir() if not path.name.startswith(TEMPORARY_PREFIX)}
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise self._unusable(error) from error

    def _check_room(self, size_bytes: int) -> None:
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self._root).free
        except OSError as error:
            raise self._unusable(error) from error
        if free < size_bytes + LEFT_FREE_BYTES:
            raise ResourceError(
                ErrorCode.DISK_FULL,
                f"{self.address} has {free} bytes free; a tarball of {size_bytes} would leave too little for runs",
                "free some space there, or set artifact_url to another place; it is tried again by itself",
                retryable=True,
            )

    def _place(self, sha256: str) -> Path:
        return self._root / sha256[:2] / sha256

    def _unusable(self, error: OSError) -> ResourceError:
        return ResourceError(
            ErrorCode.READ_FAILED,
            f"the store of artifacts in {self.address} cannot be used: {error.strerror}",
            "check that folder and its disk; the same request works as soon as it is back",
            retryable=True,
        )
