"""Pages from the network, kept as they came: a crawl that was cut goes on, and a finished one is not asked again.

`<downloads>/pages-<key>/`, where the key is a digest of everything that decides what is asked:

    <page>.bin  the body      <page>.json  address, digest, notes: written last, so it vouches for .bin
    finished.json  the pages in order, written when there are no more
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field, JsonValue, ValidationError

from loquela.core.atomic import write_bytes, write_error, write_json
from loquela.core.digests import digest_bytes, digest_json
from loquela.core.errors import ErrorCode, ResourceError
from loquela.core.model import BoundaryModel

FINISHED_NAME = "finished.json"


class CachedPage(BoundaryModel):
    """One answer. `url` is what was asked, `found_at` where it was after redirects, `notes` the crawler's own."""

    url: str
    found_at: str
    sha256: str
    size_bytes: int
    content_type: str | None = None
    notes: dict[str, JsonValue] = Field(default_factory=dict)


class Finished(BoundaryModel):
    """The pages of a whole crawl in the order of asking, and what the crawler counted."""

    urls: list[str]
    facts: dict[str, int] = Field(default_factory=dict)


class PageCache:
    """The pages of one crawl, `max_bytes` in all at most; errors are those of writing and INSUFFICIENT_RESOURCES."""

    def __init__(self, downloads: Path, identity: JsonValue, max_bytes: int) -> None:
        self.folder = downloads / f"pages-{digest_json(identity)[:24]}"
        self.max_bytes = max_bytes
        self._kept_bytes: int | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let one process at a time crawl."""
        lock = self.folder / ".lock"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            stream = lock.open("w")
        except OSError as error:
            raise write_error(error, lock) from error
        with stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def get(self, url: str) -> CachedPage | None:
        """The kept page of `url`, if it is there and its digest holds."""
        try:
            page = CachedPage.model_validate_json(self._path(url, "json").read_bytes())
            body = self._path(url, "bin").read_bytes()
        except (OSError, ValidationError):
            return None
        return page if page.url == url and digest_bytes(body) == page.sha256 else None

    def body(self, page: CachedPage) -> bytes:
        """The bytes of a page that `get` has found."""
        return self._path(page.url, "bin").read_bytes()

    def add(
        self,
        url: str,
        body: bytes,
        *,
        found_at: str,
        content_type: str | None = None,
        notes: dict[str, JsonValue] | None = None,
    ) -> CachedPage:
        """Keep an answer."""
        if self._kept_bytes is None:
            self._kept_bytes = sum(path.stat().st_size for path in self.folder.glob("*.bin"))
        kept = self._kept_bytes
        if kept + len(body) > self.max_bytes:
            raise ResourceError(
                ErrorCode.INSUFFICIENT_RESOURCES,
                f"the pages up to {url} have more than {self.max_bytes:,} bytes; {kept:,} are kept in {self.folder}",
                "set data.corpus_size_mb to the real size of the corpus, or ask for fewer pages",
                details={"url": url, "max_bytes": self.max_bytes},
            )
        page = CachedPage(
            url=url,
            found_at=found_at,
            sha256=digest_bytes(body),
            size_bytes=len(body),
            content_type=content_type,
            notes=notes or {},
        )
        write_bytes(self._path(url, "bin"), body)
        write_json(self._path(url, "json"), page.model_dump(mode="json"))
        self._kept_bytes = kept + len(body)
        return page

    def finish(self, urls: Sequence[str], facts: dict[str, int]) -> Finished:
        """Say that these are all pages."""
        finished = Finished(urls=list(urls), facts=facts)
        write_json(self.folder / FINISHED_NAME, finished.model_dump(mode="json"))
        return finished

    def finished(self) -> Finished | None:
        """The whole crawl, if it was finished and every page of it is still what it was."""
        try:
            found = Finished.model_validate_json((self.folder / FINISHED_NAME).read_bytes())
        except (OSError, ValidationError):
            return None
        return found if all(self.get(url) is not None for url in found.urls) else None

    def pages(self, finished: Finished) -> list[CachedPage]:
        """The pages in order."""
        return [page for page in map(self.get, finished.urls) if page is not None]

    def _path(self, url: str, suffix: str) -> Path:
        return self.folder / f"{digest_bytes(url.encode())[:24]}.{suffix}"
