"""Objects in memory, and the ledger of what is read from them."""

from __future__ import annotations

import io
import json
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from loquela.data.encoding.decode import DecodedText, decode
from loquela.data.encoding.report import EncodingReport
from loquela.data.quarantine import Quarantine
from loquela.data.reading.records import ReadOptions, Record, read_records
from loquela.data.source_object import SourceObject
from loquela.data.tally import ARROWS, Tally, utf8_size
from loquela.recipe.encoding_section import EncodingSection

SHARED = Path(__file__).parents[2] / "../shared/data"


def in_memory(data: bytes, name: str) -> SourceObject:
    def open_at(offset: int):
        return closing(io.BytesIO(data[offset:]))

    return SourceObject(name, open_at, len(data))


@dataclass
class Read:
    records: list[Record]
    report: EncodingReport
    quarantined: list[dict]
    changes: dict[str, tuple[int, int]]

    @property
    def texts(self) -> list[str | None]:
        return [record.text for record in self.records]


def read(data: bytes, format: str, directory: Path, policy: str = "quarantine", **options) -> Read:
    """All records of `data`, after the ledger's own check that every byte and item is accounted for."""
    tally, report, quarantine = Tally(), EncodingReport(object="a"), Quarantine(directory)
    asked = ReadOptions(encoding=EncodingSection(on_invalid=policy), quarantine=quarantine, **options)
    tally.enter("read", len(data), 1)
    tally.leave("read", len(data), 1)
    tally.enter("decode", 0, 1)
    records = []
    for record in read_records(in_memory(data, f"a.{format}"), format, asked, tally, report):
        records.append(record)
        leave(tally, record.text or "", 1)
    decoding = tally.ledger().arrows[1]
    lines = quarantine.path.read_text(encoding="utf-8").splitlines() if quarantine.path.exists() else []
    changes = {change.reason: (change.bytes, change.items) for change in decoding.changes}
    return Read(records, report, [json.loads(line) for line in lines], changes)


def leave(tally: Tally, text: str, items: int) -> None:
    tally.leave("decode", utf8_size(text), items)
    for arrow in ARROWS[2:]:
        tally.enter(arrow, utf8_size(text), items)
        tally.leave(arrow, utf8_size(text), items)


@dataclass
class Decoded:
    text: str
    report: EncodingReport
    changes: dict[str, int]


def decoded(data: bytes, policy: EncodingSection, *, size: int = 1 << 20, **options) -> Decoded:
    """The text of `data` in chunks of `size`, after the ledger's check."""
    tally, report = Tally(), EncodingReport(object="a")
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    text = "".join(decode(chunks, "a.txt", tally, policy=policy, report=report, **options))
    tally.enter("read", len(data))
    tally.leave("read", len(data))
    leave(tally, text, 0)
    return Decoded(text, report, {change.reason: change.bytes for change in tally.ledger().arrows[1].changes})


def spans_of(data: bytes, policy: EncodingSection, size: int = 1 << 20) -> tuple[DecodedText, str]:
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    stream = decode(chunks, "a.txt", Tally(), policy=policy, spans=True)
    return stream, "".join(stream)
