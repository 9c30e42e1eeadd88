"""What a source is. A new one: a class with these three methods, registered under its prefix.

The prefix is what stands before the first colon of a recipe's source ("gutenberg:1342" → "gutenberg"); a plain
path goes to "file" or "folder". Third parties register through the entry-point group `loquela.sources`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from pydantic import Field

from loquela.core.model import BoundaryModel
from loquela.data.encoding.report import EncodingReport
from loquela.data.quarantine import Quarantine
from loquela.data.tally import Tally
from loquela.recipe.schema import DataSection
from loquela.recipe.source_entry import SourceEntry
from loquela.security.credentials import lookup
from loquela.security.credentials.credential import Credential
from loquela.security.credentials.lookup import Find

# Characters [start, end) of a decoded text → the raw bytes [start, end) that they came from.
RawSpan = Callable[[int, int], tuple[int, int]]
# Characters [start, end) of a text → the numbers of the pages they lie on, rising.
PagesOf = Callable[[int, int], list[int]]


@dataclass(frozen=True)
class SourceRequest:
    """One entry of `data.sources` and what a source may need to serve it; `downloads` is the cache folder.

    `quarantine` takes records that cannot be read, `report` is told once of each object how its bytes became text; None
    where nobody keeps them. `objects` are the names of those to read, None for all (see `DividedSource`).
    `find_credential` gives the secret of a name.
    """

    entry: SourceEntry
    section: DataSection
    downloads: Path
    seed: int = 0
    quarantine: Quarantine | None = None
    report: Callable[[EncodingReport], None] | None = None
    objects: tuple[str, ...] | None = None
    find_credential: Find = lookup.get

    @property
    def address(self) -> str:
        """Where the source is."""
        return self.entry.address

    @property
    def rest(self) -> str:
        """The address without its prefix ("gutenberg:1342" → "1342")."""
        return self.address.partition(":")[2]

    def object_named(self, file_name: str) -> str:
        """What the one file of an entry is called: its name keeps the suffix, which tells the format."""
        return self.address if self.entry.name is None else f"{self.entry.name}/{file_name}"

    def credential(self, host: str) -> Credential | None:
        """The secret that the entry names, for `host`; RecipeError(AUTH_FAILED) when there is none of that name."""
        name = self.entry.credential
        return None if name is None else self.find_credential(name).permitted_for(host, name)


class SourceCheck(BoundaryModel):
    """What is known of a source before anything is read; `size_bytes` and `texts` are None where unknown.

    `formats` are what can be read there ("rows", "json", "html", "txt", …), as far as it was looked at.
    """

    address: str
    size_bytes: int | None
    texts: int | None
    message: str
    formats: list[str] = Field(default_factory=list)


class SourceFingerprint(BoundaryModel):
    """What a source holds now. Two fingerprints are equal exactly when the bytes behind them are.

    `sha256` is that of the one text's raw bytes, or of the lines "name<tab>sha256" of all its texts.
    """

    texts: int
    bytes: int
    sha256: str
    language: str | None = None


@dataclass(frozen=True)
class SourceText:
    """One whole text: a file, a book, a story.

    `pieces` streams its decoded text once. Texts of one source with the same `split_key` always fall on the same
    side of the split; None lets each document fall by itself. `object_name` is the object (file, book, table) that the
    text lies in, `record` its number there from 1, `raw_bytes` where in that object its raw bytes lie and `raw_sha256`
    their digest; all None where there is no such thing. `raw_span` tells the bytes of a part of the text; it is asked
    in rising order, while `pieces` flow, and is None where characters do not map to bytes (PDF, database).
    `pages_of` tells the page numbers that a part of the text touches, None where there are no pages. `labels` are
    columns that came along, to stratify by.
    """

    name: str
    pieces: Iterator[str]
    language: str | None = None
    split_key: str | None = None
    object_name: str | None = None
    record: int | None = None
    raw_bytes: tuple[int, int] | None = None
    raw_sha256: str | None = None
    raw_span: RawSpan | None = None
    pages_of: PagesOf | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


class Source(Protocol):
    """A place that text comes from. Each method raises a LoquelaError that names the address and the remedy."""

    def check(self, request: SourceRequest) -> SourceCheck:
        """Prove that the source can be read, without reading or writing it."""

    def fingerprint(self, request: SourceRequest) -> SourceFingerprint:
        """Digest what is there now; what comes over the network is downloaded into the cache first."""

    def read(self, request: SourceRequest, tally: Tally) -> Iterator[SourceText]:
        """Stream the texts; `tally` counts the arrows "read" and "decode" (all but what leaves "decode")."""


class ObjectSize(BoundaryModel):
    """One object of a source: its name there, and its size where it is known without reading it."""

    name: str
    size_bytes: int | None = None


@runtime_checkable
class DividedSource(Protocol):
    """A source of many objects, which several processes can read side by side.

    `read` of a request with `objects` reads those alone, in the order of this list.
    """

    def objects(self, request: SourceRequest) -> list[ObjectSize]:
        """All objects, in the order that `read` reads them."""
