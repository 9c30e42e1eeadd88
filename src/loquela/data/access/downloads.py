"""Files from the network, kept once: `<output_directory>/downloads/`.

    <key>.bin   the bytes           <key>.json   address, SHA-256, size, etag: written last, so it vouches for .bin
    <key>.part  an unfinished one   <key>.lock   held while a process fetches it

A kept file is used without asking the network again, after its digest is proved; delete the folder to fetch anew.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from loquela.core.atomic import fsync_directory, write_error, write_json
from loquela.core.digests import digest_bytes, digest_file
from loquela.core.model import BoundaryModel
from loquela.data.access.transfer import probe, transfer
from loquela.recipe.schema import DataSection
from loquela.security.http_answer import Answer
from loquela.security.http_auth import BoundHeaders
from loquela.security.http_policy import HttpPolicy

# data.timeout_seconds is per operation; a whole file may take this many times as long (an hour by default).
TOTAL_TIME_FACTOR = 120
# A source may be larger than the expected corpus, but not so much that the disk check meant nothing.
SIZE_FACTOR = 10


class DownloadRecord(BoundaryModel):
    """Where kept bytes came from and what they are; `answer.url` is the address after redirects."""

    url: str
    sha256: str
    size_bytes: int
    answer: Answer


@dataclass(frozen=True)
class Download:
    """A kept file whose digest was just proved."""

    path: Path
    record: DownloadRecord


def policy_of(section: DataSection) -> HttpPolicy:
    """The limits that a recipe's data section sets."""
    return HttpPolicy(
        allow_private=section.allow_private_addresses,
        timeout_seconds=section.timeout_seconds,
        total_seconds=TOTAL_TIME_FACTOR * section.timeout_seconds,
        max_bytes=SIZE_FACTOR * section.corpus_size_mb * 10**6,
    )


class Downloads:
    """The cache folder. Errors are those of `transfer`, and ResourceError when the folder cannot be written."""

    def __init__(self, directory: Path, policy: HttpPolicy, bound: BoundHeaders | None = None) -> None:
        self.directory = directory
        self.policy = policy
        self._bound = bound

    def fetch(self, url: str) -> Download:
        """The kept file of `url`, downloaded now if there is none."""
        with self._locked(url):
            kept = self.kept(url)
            if kept is not None:
                return kept
            part = self._path(url, "part")
            answer = transfer(url, part, self.policy, self._bound)
            record = DownloadRecord(url=url, sha256=digest_file(part), size_bytes=part.stat().st_size, answer=answer)
            return self._keep(part, record)

    def kept(self, url: str) -> Download | None:
        """The kept file of `url` if it is there and its digest holds."""
        path = self._path(url, "bin")
        try:
            record = DownloadRecord.model_validate_json(self._path(url, "json").read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return None
        if not path.is_file() or path.stat().st_size != record.size_bytes or digest_file(path) != record.sha256:
            return None
        return Download(path, record)

    def size(self, url: str) -> int | None:
        """Bytes of `url`, from the kept file or by asking; None when the server does not say."""
        kept = self.kept(url)
        return kept.record.size_bytes if kept is not None else probe(url, self.policy, self._bound).total_bytes

    def _keep(self, part: Path, record: DownloadRecord) -> Download:
        path = self._path(record.url, "bin")
        try:
            self._path(record.url, "json").unlink(missing_ok=True)
            part.replace(path)
            fsync_directory(self.directory)
        except OSError as error:
            raise write_error(error, path) from error
        write_json(self._path(record.url, "json"), record.model_dump(mode="json"))
        self._path(record.url, "part.json").unlink(missing_ok=True)
        return Download(path, record)

    @contextmanager
    def _locked(self, url: str) -> Iterator[None]:
        """Let one process at a time fetch `url`."""
        lock = self._path(url, "lock")
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            stream = lock.open("w")
        except OSError as error:
            raise write_error(error, lock) from error
        with stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def _path(self, url: str, suffix: str) -> Path:
        return self.directory / f"{digest_bytes(url.encode())[:24]}.{suffix}"
