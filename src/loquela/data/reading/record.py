"""What a reader is asked for and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from loquela.data.quarantine import Quarantine
from loquela.recipe.encoding_section import EncodingSection


@dataclass(frozen=True)
class ReadOptions:
    """How the records of one object are read.

    `text` names the field or column that holds the text; None takes the first usual name that is there. A record
    without text is set aside, unless `text_required` is off: then its text is None. `fields` are the columns kept
    beside the text, None for all. `declared` is an encoding that the place states, `language` the ISO 639 code of the
    texts where it is known. `delimiter` of csv is found out and reported when it is None. A record of more than
    `max_record_bytes` is set aside, and so is JSON nested deeper than `max_depth`.
    """

    text: str | None = None
    text_required: bool = True
    fields: tuple[str, ...] | None = None
    declared: str | None = None
    language: str | None = None
    delimiter: str | None = None
    encoding: EncodingSection = field(default_factory=EncodingSection)
    quarantine: Quarantine | None = None
    max_record_bytes: int = 64 << 20
    max_depth: int = 100


@dataclass(frozen=True, slots=True)
class Record:
    """One record: `text` with LF line ends, the other `fields`, its number in the object from 1.

    Its raw bytes are [start, end) of the (decompressed) object and `sha256` is theirs. Rows of parquet and arrow have
    start = end = -1 and the digest of their JSON.
    """

    text: str | None
    fields: Mapping[str, JsonValue]
    number: int
    start: int
    end: int
    sha256: str
