"""Which rows are measured, what is asked of them, and why others are left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from loquela.artifacts.examples import Example, ExampleLineage, ExamplesWriter, Message, with_id
from loquela.artifacts.token_rows import TokenSequence, write_token_rows
from loquela.core.errors import DataError, ErrorCode
from loquela.evaluation.tuned.asking import answer_context, passage_of, question_of
from loquela.evaluation.tuned.held_out import (
    BAD_ANSWER,
    IN_PIECES,
    NO_ROOM,
    NOTHING_LEARNT,
    OTHER_ANSWER,
    SAME,
    held_out,
)
from toy_comparison import example, write_examples

# Words are numbers; 0 is a control token.
WORDS = ["", "where", "here", "there", "yes", "no", "river", "bridge"]


def decode(ids) -> str:
    return " ".join(WORDS[token] for token in ids if token)


def row(
    name: str, ids: list[int], weights: list[float], answer: str = "here", *, piece: int = 0, **changes: object
) -> tuple[Example, TokenSequence]:
    """An example called `name` whose token row is `ids`."""
    fields: dict[str, object] = {
        "kind": "messages",
        "messages": [Message(role="user", content=name), Message(role="assistant", content=answer)],
        **changes,
    }
    made = Example.model_validate(
        {"id": name, "split": "test", "lineage": ExampleLineage(source="t"), "language": "en", **fields}
    )
    sequence = TokenSequence(
        name, np.array(ids, dtype=np.uint32), np.array(weights, dtype=np.float32), part="", piece=piece
    )
    return made, sequence


def write(directory: Path, rows: list[tuple[Example, TokenSequence]], *, together: bool = False) -> Path:
    directory.mkdir()
    with ExamplesWriter(directory) as writer:
        for made in {made.id: made for made, _ in rows}.values():
            writer.write(made)
    sequences = [sequence for _, sequence in rows]
    write_token_rows(directory, "test", [sequences] if together else [[sequence] for sequence in sequences])
    return directory


def test_a_prompt_is_what_stands_before_the_last_answer(tmp_path: Path) -> None:
    """Two turns that are learnt, then a frame that is not: the last answer is asked for."""
    ids, weights = [1, 4, 0, 1, 2, 0, 7], [0, 1, 1, 0, 1, 1, 0]
    found = held_out(write(tmp_path / "e", [row("a", ids, weights)]), decode, context=16, most=None, seed=1)
    (kept,) = found.rows
    assert kept.prompt == (1, 4, 0, 1)
    assert kept.reference == "here"
    assert kept.stop_id == 0


def test_packed_rows_are_taken_apart(tmp_path: Path) -> None:
    rows = [row("a", [1, 2, 0], [0, 1, 1]), row("b", [1, 6, 2, 0], [0, 0, 1, 1])]
    found = held_out(write(tmp_path / "e", rows, together=True), decode, context=16, most=None, seed=1)
    assert [kept.prompt for kept in found.rows] == [(1,), (1, 6)]
    assert [kept.ids.tolist() for kept in found.rows] == [[1, 2, 0], [1, 6, 2, 0]]


def test_what_is_left_out_and_why(tmp_path: Path) -> None:
    rows = [
        row("good", [1, 2, 0], [0, 1, 1]),
        row("good", [1, 2, 0], [0, 1, 1]),
        row("pieces", [1, 2], [0, 1]),
        row("pieces", [3, 2], [0, 1], piece=1),
        row("nothing", [1, 2], [0, 0]),
        row("long", [1] * 9 + [2], [0] * 9 + [1]),
        row("cut", [1, 2], [0, 1], answer="here and there"),
        row("bad", [1, 2], [0, 1], kind="feedback", label=False),
        row("text", [1, 6, 7], [0, 1, 1], kind="text", messages=[], text="where river bridge"),
    ]
    found = held_out(write(tmp_path / "e", rows), decode, context=8, most=None, seed=1)
    assert [kept.example.id for kept in found.rows] == ["good", "text"]
    assert [kept.example.id for kept in found.asked] == ["good"]
    expected = {SAME: 1, IN_PIECES: 1, NOTHING_LEARNT: 1, NO_ROOM: 1, OTHER_ANSWER: 1, BAD_ANSWER: 1}
    assert found.left_out == expected
    assert found.total == 7


def test_rows_are_drawn_by_the_seed(tmp_path: Path) -> None:
    folder = write(tmp_path / "e", [row(str(number), [1, 2, 0], [0, 1, 1]) for number in range(30)])

    def drawn(seed: int) -> list[str]:
        return [kept.example.id for kept in held_out(folder, decode, context=8, most=5, seed=seed).rows]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert len(drawn(1)) == 5


def test_validation_stands_in_for_a_test_split(tmp_path: Path) -> None:
    folder = write_examples(tmp_path / "e", [example("Where?", "Here.", split="validation")])
    from loquela.models.pretrained.open import open_base
    from loquela.tokenizers.of_base import load_base_tokenizer
    from toy_bases import toy_base

    tokenizer = load_base_tokenizer(open_base(toy_base()))
    assert (
        held_out(folder, lambda ids: tokenizer.decode(list(ids)), context=256, most=None, seed=1).split == "validation"
    )


def test_examples_without_token_rows_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "e", [row("a", [1, 2], [0, 1])])
    (folder / "rows" / "test" / "sequences.jsonl").unlink()
    with pytest.raises(DataError, match="have no token rows of test") as caught:
        held_out(folder, decode, context=8, most=None, seed=1)
    assert caught.value.code is ErrorCode.DATASET_NOT_FOUND


def test_nothing_that_can_be_measured_is_said(tmp_path: Path) -> None:
    folder = write(tmp_path / "e", [row("a", [1, 2], [0, 0])])
    with pytest.raises(DataError, match=f"none of the 1 examples of test .* can be measured: .*{NOTHING_LEARNT}"):
        held_out(folder, decode, context=8, most=None, seed=1)


def conversation(
    content: str, *, input_start: int | None = None, evidence: str | None = None, **labels: str
) -> Example:
    details = {} if evidence is None else {"evidence": evidence}
    asked = Message(role="user", content=content, input_start=input_start)
    return with_id(
        Example(
            id="",
            kind="messages",
            messages=[asked, Message(role="assistant", content="Here.")],
            lineage=ExampleLineage(source="t", details=details),
            labels=labels,
        )
    )


def test_the_passage_of_a_row() -> None:
    assert passage_of(conversation("Sum up.\n\nThe text.", input_start=9)) == "The text."
    assert question_of(conversation("Sum up.\n\nThe text.", input_start=9)) == "Sum up."
    open_book = conversation("Answer from this passage.\n\nP\n\nQuestion: Q", form="open_book", evidence="e")
    assert passage_of(open_book) == "Answer from this passage.\n\nP\n\nQuestion: Q"
    assert passage_of(conversation("Q", form="closed_book", evidence="It is here.")) == "It is here."
    assert passage_of(conversation("Q")) is None


@pytest.mark.parametrize(
    ("labels", "answer", "expects"),
    [
        ({"answerable": "no"}, "here", True),
        ({"answerable": "yes"}, "I do not know.", False),
        ({}, "I do not know.", True),
        ({}, "here", False),
    ],
)
def test_rows_that_expect_a_refusal(tmp_path: Path, labels: dict[str, str], answer: str, expects: bool) -> None:
    made, sequence = row("a", [1, 2, 0], [0, 1, 1], answer="here", labels=labels)
    folder = write(tmp_path / "e", [(made, sequence)])
    (kept,) = held_out(folder, decode, context=8, most=None, seed=1).rows
    assert answer_context(kept.example, answer, frozenset()).expects_refusal is expects


def test_batches_of_losses_stay_within_their_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from loquela.evaluation.tuned import losses

    rows = [row(str(number), [1] * number + [2, 0], [0] * number + [1, 1]) for number in (1, 2, 3, 6)]
    kept = held_out(write(tmp_path / "e", rows), decode, context=16, most=None, seed=1).rows
    monkeypatch.setattr(losses, "LOGITS_AT_ONCE", 10 * 8)  # ten positions of eight numbers
    assert [len(batch) for batch in losses.loss_batches(kept, 8, 8)] == [2, 1, 1]
    monkeypatch.setattr(losses, "LOGITS_AT_ONCE", 1)
    assert [len(batch) for batch in losses.loss_batches(kept, 8, 8)] == [1, 1, 1, 1]
    monkeypatch.setattr(losses, "LOGITS_AT_ONCE", 1 << 20)
    assert [len(batch) for batch in losses.loss_batches(kept, 3, 8)] == [3, 1]


def test_examples_of_which_all_are_learnt_hold_nothing_out(tmp_path: Path) -> None:
    made, sequence = row("a", [1, 2, 0], [0, 1, 1], split="train")
    directory = tmp_path / "e"
    directory.mkdir()
    with ExamplesWriter(directory) as writer:
        writer.write(made)
    write_token_rows(directory, "train", [[sequence]])
    with pytest.raises(DataError, match="hold nothing out: they have neither a test nor a validation split") as caught:
        held_out(directory, decode, context=16, most=None, seed=1)
    assert caught.value.code is ErrorCode.INSUFFICIENT_DATA
    assert caught.value.details == {"path": str(directory)}
