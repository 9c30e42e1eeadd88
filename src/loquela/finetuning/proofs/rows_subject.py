"""What the proofs of rows are given: the examples that the rows were made from, the rows, the base.

They read artifacts only. What makes rows has no part in proving them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loquela.artifacts.base import Base
from loquela.artifacts.corpus import SPLITS
from loquela.artifacts.examples import Example, Message, read_examples
from loquela.artifacts.examples_facts import ExamplesFacts, TemplateRecord, read_template_record
from loquela.artifacts.examples_ledger import ExamplesLedger, read_examples_ledger
from loquela.artifacts.manifest import corrupt, read_manifest
from loquela.artifacts.shown_turns import shown_turns
from loquela.artifacts.token_rows import SequenceRecord, read_sequences, read_token_rows
from loquela.tokenizers.template_text import TemplateTokenizer, open_template_tokenizer

# Rendering a conversation takes a millisecond for every turn; more rows than this are drawn from evenly.
MOST_RENDERED = 2000
SHOWN_CHARACTERS = 400
TRUNCATED = "truncated"


@dataclass(frozen=True)
class ShownSequence:
    """One text of an example as the rows hold it."""

    split: str
    number: int
    record: SequenceRecord
    example: Example
    ids: NDArray[np.uint32]
    weights: NDArray[np.float32]

    @property
    def turns(self) -> list[Message]:
        """The turns that it shows, none for plain text."""
        return shown_turns(self.example, self.record)

    @property
    def called(self) -> str:
        """How messages name it: its example and the file and row that this came from."""
        lineage = self.example.lineage
        row = "" if lineage.row is None else f", row {lineage.row}"
        line = "" if lineage.line is None else f" (line {lineage.line})"
        return f"example {self.example.id} ({lineage.source}{row}{line})"


class RowsSubject:
    """An examples artifact and the base that its rows are for."""

    def __init__(self, examples: Path, base: Base) -> None:
        self.examples = examples
        self.base = base

    @cached_property
    def facts(self) -> ExamplesFacts:
        """The manifest's facts."""
        return ExamplesFacts.model_validate(read_manifest(self.examples, "examples").facts)

    @cached_property
    def ledger(self) -> ExamplesLedger:
        """The counts of all steps."""
        return read_examples_ledger(self.examples)

    @cached_property
    def template(self) -> TemplateRecord:
        """The template that the rows were made by; DataError(CORRUPTION) where none is recorded."""
        record = read_template_record(self.examples)
        if record is None:
            raise corrupt(self.examples, "the template that its rows were made by is not there")
        return record

    @property
    def anew(self) -> str:
        """How the rows are made anew."""
        return f"delete {self.examples} and run the same command again; the stage that makes it will run anew"

    @cached_property
    def tokenizer(self) -> TemplateTokenizer:
        """The base's."""
        return open_template_tokenizer(self.base.folder)

    @cached_property
    def sequences(self) -> list[ShownSequence]:
        """Every text of every split, in the order of the rows; DataError(CORRUPTION) for rows of unknown examples."""
        return list(self._sequences())

    @cached_property
    def pieces(self) -> dict[tuple[str, str], int]:
        """The number of the last piece of every text: (example, part) → piece."""
        found: dict[tuple[str, str], int] = {}
        for shown in self.sequences:
            key = (shown.record.example, shown.record.part)
            found[key] = max(found.get(key, 0), shown.record.piece)
        return found

    @cached_property
    def _truncates(self) -> bool:
        changes = [change for arrow in self.ledger.arrows for change in arrow.changes]
        return any(change.reason == TRUNCATED for change in changes)

    def is_cut(self, shown: ShownSequence) -> bool:
        """Whether the end of a text may have been cut off, as the ledger says that some were."""
        return self._truncates and len(shown.ids) == self.facts.max_tokens

    @property
    def drawn(self) -> list[ShownSequence]:
        """All of them, or an even draw of `MOST_RENDERED`."""
        return evenly(self.sequences)

    def text_of(self, shown: ShownSequence) -> str:
        """What a sequence reads, cut for messages."""
        text = self.tokenizer.decode(shown.ids.tolist())
        return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + " …"

    def _sequences(self) -> Iterator[ShownSequence]:
        known = {example.id: example for example in read_examples(self.examples)}
        for split in SPLITS:
            records = iter(read_sequences(self.examples, split))
            for number, row in enumerate(read_token_rows(self.examples, split)):
                for start, end in pairwise(np.cumsum([0, *row.lengths]).tolist()):
                    record = next(records)
                    example = known.get(record.example)
                    if example is None:
                        raise corrupt(self.examples, f"its rows show example {record.example}, which it does not hold")
                    yield ShownSequence(split, number, record, example, row.ids[start:end], row.weights[start:end])


def evenly(sequences: list[ShownSequence]) -> list[ShownSequence]:
    """At most `MOST_RENDERED` of them, the first and the last among these."""
    if len(sequences) <= MOST_RENDERED:
        return sequences
    return [sequences[place] for place in np.linspace(0, len(sequences) - 1, MOST_RENDERED).astype(int).tolist()]


def learnt_answers(turns: list[Message], learn: str) -> list[int]:
    """Places of the assistant's turns that are learnt."""
    places = [place for place, turn in enumerate(turns) if turn.role == "assistant" and turn.learnt]
    return [place for place in places if learn != "completion" or place == len(turns) - 1]


def learnt_runs(weights: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Stretches [start, end) of tokens that are learnt without a gap."""
    learnt = np.concatenate([[False], weights > 0, [False]])
    edges = np.flatnonzero(learnt[1:] != learnt[:-1]).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))
