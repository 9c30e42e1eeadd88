"""What is known of an examples artifact: its manifest's facts, and the longer report beside it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from loquela.artifacts.token_rows import TokenSequence
from loquela.core.model import BoundaryModel
from loquela.data.corpus.leakage import Leakage
from loquela.data.examples.augment.augmenter import AugmentReport
from loquela.data.examples.faults import FaultCount
from loquela.data.examples.formats.recognise import Recognised
from loquela.data.examples.ledger import SplitCount
from loquela.data.examples.lengths import LengthReport
from loquela.data.examples.split import SplitFacts

REPORT_NAME = "report.json"
TEMPLATE_NAME = "template.json"


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
    split: SplitFacts
    leakage: Leakage
    augment: AugmentReport | None
    lengths: LengthReport | None
    packing: dict[str, PackingFacts]


class ExamplesFacts(BoundaryModel):
    """The manifest facts of an examples artifact made from files."""

    examples: int
    kinds: dict[str, int]
    languages: dict[str, int]
    splits: dict[str, SplitCount]
    template: str
    tokenizer_digest: str | None = Field(description="of the tokenizer that tokens were counted with; null: none was")
    max_tokens: int | None
    dropped: dict[str, int]


class TemplateRecord(BoundaryModel):
    """`template.json`: the exact template, for holding what is served against what was trained."""

    name: str
    syntax: Literal["jinja", "format"]
    source: str
    system_prompt: str | None
    controls: list[str]
