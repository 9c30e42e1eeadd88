"""The report beside an examples artifact."""

from __future__ import annotations

from pydantic import Field

from loquela.artifacts.examples_facts import ExamplesSplitFacts, LengthReport
from loquela.artifacts.token_rows import TokenSequence
from loquela.core.model import BoundaryModel
from loquela.data.corpus.leakage import Leakage
from loquela.data.examples.augment.augmenter import AugmentReport
from loquela.data.examples.faults import FaultCount
from loquela.data.examples.formats.recognise import Recognised


class PackingFacts(BoundaryModel):
    """How full the rows are: `fill` is the share of their tokens that are no padding. `rows_unpacked` is how many
    there would be with one text each.
    """

    row_tokens: int
    rows: int
    rows_unpacked: int
    tokens: int
    padding_tokens: int
    fill: float


def packing_facts(row_tokens: int, rows: list[list[TokenSequence]], unpacked: int) -> PackingFacts:
    """How full `rows` of `row_tokens` are; `unpacked` is the number of texts in them."""
    tokens = sum(len(sequence.ids) for row in rows for sequence in row)
    room = row_tokens * len(rows)
    return PackingFacts(
        row_tokens=row_tokens,
        rows=len(rows),
        rows_unpacked=unpacked,
        tokens=tokens,
        padding_tokens=room - tokens,
        fill=round(tokens / room, 6) if room else 1.0,
    )


class FileReport(BoundaryModel):
    """One file: what its rows were taken for, and what was made of them."""

    recognised: Recognised
    rows: int
    examples: int
    ignored_turn_keys: dict[str, int] = Field(default_factory=dict)
    placeholders_left: dict[str, int] = Field(default_factory=dict)
    placeholders_filled: dict[str, int] = Field(default_factory=dict)


class ExamplesReport(BoundaryModel):
    """`report.json`: everything that people may want to look at."""

    files: list[FileReport]
    faults: list[FaultCount]
    special_text: dict[str, int] = Field(description="control tokens that rows spell, by how often")
    split: ExamplesSplitFacts
    leakage: Leakage
    augment: AugmentReport | None
    lengths: LengthReport | None
    packing: dict[str, PackingFacts]
