"""One object → records: its texts with what stands beside them, each with its place and checksum.

A record that is damaged costs that record alone: it goes to the quarantine with its place, and reading goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from loquela.data.encoding.report import EncodingReport
from loquela.data.reading.quarantine import Quarantine
from loquela.data.source_object import SourceObject
from loquela.data.tally import Tally
from loquela.recipe.encoding_section import EncodingSection


@dataclass(frozen=True)
class ReadOptions:
    """How the records of one object are read.

    `text` names the field or column that holds the text; None takes the first of `TEXT_NAMES` that is there.
    `fields` are the columns kept beside the text, None for all. `declared` is an encoding that the place states,
    `language` the ISO 639 code of the texts where it is known. A record of more than `max_record_bytes` is set aside.
    """

    text: str | None = None
    fields: tuple[str, ...] | None = None
    declared: str | None = None
    language: str | None = None
    encoding: EncodingSection = field(default_factory=EncodingSection)
    quarantine: Quarantine | None = None
    max_record_bytes: int = 64 << 20


@dataclass(frozen=True)
class Record:
    """One record: `text` with LF line ends, the other `fields`, its number in the object from 1.

    Its raw bytes are [start, end) of the (decompressed) object, `sha256` is theirs; rows of parquet and arrow have
    start = end = -1 and the digest of their JSON. `text` is None only where the format has no text column.
    """

    text: str | None
    fields: Mapping[str, JsonValue]
    number: int
    start: int
    end: int
    sha256: str
