"""What is known of documents beside their text: signals, clusters, and why some are not in the corpus.

corpus/
  attributes.jsonl       one line for every document that a filter looked at or that has duplicates, kept or not
  dropped.jsonl          a few documents of every reason for a loss, with value and threshold, chosen by digest
  quarantine.jsonl       records that could not be read, with their place and their bytes
  encoding_report.json   how the bytes of every object became text
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from loquela.artifacts.corpus import Lineage
from loquela.artifacts.manifest import corrupt
from loquela.core.model import BoundaryModel

ATTRIBUTES_NAME = "attributes.jsonl"
DROPPED_NAME = "dropped.jsonl"
QUARANTINE_NAME = "quarantine.jsonl"
ENCODING_NAME = "encoding_report.json"


class SignalValue(BoundaryModel):
    """One signal of a filter: what was found, and the limit where the filter has one."""

    name: str
    value: float
    threshold: float | None = None
    passed: bool = True


class Attributes(BoundaryModel):
    """All that was found out about one document; `id` is the digest of its text when it was judged.

    `reason` says what dropped it, None when it was kept. `duplicate_of` and `cluster` are ids of documents: the one
    that stands for it, and the first of its cluster; `similarity` is to the member of the cluster it was matched with.
    """

    id: str
    source: str
    status: Literal["passed", "warning", "failed"] = "passed"
    score: float | None = None
    language: str | None = None
    signals: list[SignalValue] = Field(default_factory=list)
    reasons: list[str] = Field(default_factory=list)
    changes: dict[str, int] = Field(default_factory=dict, description="reason → change in UTF-8 bytes")
    reason: str | None = None
    duplicate_of: str | None = None
    cluster: str | None = None
    similarity: float | None = None


class Dropped(BoundaryModel):
    """One of the documents that a rule dropped; `text` is its beginning, `characters` its length.

    `arrow` is where in the ledger it went; `value` and `threshold` are those of the signal that failed.
    """

    id: str
    arrow: str
    reason: str
    source: str
    value: float | None = None
    threshold: float | None = None
    characters: int
    text: str
    lineage: Lineage | None = None


def read_attributes(directory: Path) -> Iterator[Attributes]:
    """Stream `attributes.jsonl`; DataError(CORRUPTION) for a line that is none. A corpus without the file has none."""
    path = directory / ATTRIBUTES_NAME
    if path.is_file():
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    yield Attributes.model_validate_json(line)
                except ValidationError as error:
                    raise corrupt(directory, f"{ATTRIBUTES_NAME}, line {number}, holds no attributes") from error


def read_dropped(directory: Path) -> list[Dropped]:
    """The examples in `dropped.jsonl`; DataError(CORRUPTION) for a line that is none."""
    path = directory / DROPPED_NAME
    try:
        lines = path.read_bytes().splitlines() if path.is_file() else []
        return [Dropped.model_validate_json(line) for line in lines]
    except ValidationError as error:
        raise corrupt(directory, f"{DROPPED_NAME} holds a line that is no dropped document") from error
