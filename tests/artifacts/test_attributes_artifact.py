"""What is kept beside documents: read back as it was written, damage named with file and line."""

from pathlib import Path

import pytest

from loquela.artifacts.attributes import Attributes, Dropped, SignalValue, read_attributes, read_dropped
from loquela.core.errors import DataError, ErrorCode
from loquela.data.corpus.drafts import Draft
from loquela.data.corpus.dropped import EXAMPLES_PER_REASON, SHOWN_CHARACTERS, DroppedExamples


def test_attributes_come_back(tmp_path: Path) -> None:
    written = [
        Attributes(
            id="1", source="a.txt", score=0.5, signals=[SignalValue(name="words", value=3, threshold=5, passed=False)]
        ),
        Attributes(id="2", source="a.txt", reason="exact_duplicate", duplicate_of="1"),
    ]
    lines = [found.model_dump_json(exclude_none=True) + "\n" for found in written]
    (tmp_path / "attributes.jsonl").write_text("".join(lines))
    assert list(read_attributes(tmp_path)) == written
    (tmp_path / "attributes.jsonl").write_text(lines[0] + "{}\n")
    with pytest.raises(DataError, match=r"attributes.jsonl, line 2, holds no attributes") as caught:
        list(read_attributes(tmp_path))
    assert caught.value.code == ErrorCode.CORRUPTION


def test_a_corpus_of_before_has_none(tmp_path: Path) -> None:
    assert list(read_attributes(tmp_path)) == []
    assert read_dropped(tmp_path) == []


def test_damaged_examples_are_named(tmp_path: Path) -> None:
    (tmp_path / "dropped.jsonl").write_text("nothing\n")
    with pytest.raises(DataError, match=r"dropped.jsonl holds a line that is no dropped document"):
        read_dropped(tmp_path)


def _draft(number: int) -> Draft:
    return Draft.model_validate(
        {
            "id": f"{number:032x}",
            "text": f"{number} " * 3000,
            "source": "a.txt",
            "text_number": 0,
            "lineage": {"object": "a.txt", "char_start": 0, "char_end": 1, "text_sha256": "", "chunk": 1},
        }
    )


def test_the_same_examples_are_chosen_in_any_order_and_in_parts() -> None:
    whole, backwards, joined = DroppedExamples(), DroppedExamples(), DroppedExamples()
    drafts = [_draft(number) for number in range(100)]
    for draft in drafts:
        whole.drop(draft, "validate", "short", 1, 2)
    for draft in [*reversed(drafts), *drafts]:
        backwards.drop(draft, "validate", "short", 1, 2)
    for part in (drafts[:50], drafts[50:]):
        examples = DroppedExamples()
        for draft in part:
            examples.drop(draft, "validate", "short", 1, 2)
        joined.add_all(examples.chosen())
    assert len(whole.chosen()) == EXAMPLES_PER_REASON
    assert whole.chosen() == backwards.chosen() == joined.chosen()
    example: Dropped = whole.chosen()[0]
    assert (len(example.text), example.characters) == (SHOWN_CHARACTERS, len(_draft(int(example.id, 16)).text))
