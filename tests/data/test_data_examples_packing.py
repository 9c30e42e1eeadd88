"""Tokens, limits and rows: what is learnt is exactly what was marked, nothing is cut unasked, rows keep borders."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.artifacts.examples import Example, ExampleLineage, Message, with_id
from loquela.artifacts.examples_ledger import SplitCount
from loquela.artifacts.token_rows import TokenSequence, read_token_rows, write_token_rows
from loquela.core.errors import DataError, ErrorCode, InternalError
from loquela.data.examples.fit import Fitter
from loquela.data.examples.ledger import ExamplesTally
from loquela.data.examples.lengths import length_report
from loquela.data.examples.packing import best_fit_decreasing
from loquela.data.examples.templates.chatml import END, START, ChatML
from loquela.data.examples.templates.rendered import Piece, Rendered
from loquela.data.examples.tokens import ExampleEncoder
from loquela.recipe.examples_section import ExamplesSection


class ByteTokenizer:
    """One token a byte; 256 is the end of text, further ids are control tokens, where there are any."""

    eos_id = 256

    def __init__(self, *controls: str) -> None:
        self.controls = controls
        self.vocab_size = 257 + len(controls)

    def encode(self, text: str) -> list[int]:
        return list(text.encode("utf-8"))

    def token_text(self, token_id: int) -> str:
        return self.controls[token_id - 257] if token_id > 256 else f"byte {token_id}"


def turns(*texts: str, system: str = "") -> list[Message]:
    spoken = [Message(role="assistant" if i % 2 else "user", content=text) for i, text in enumerate(texts)]
    return [Message(role="system", content=system), *spoken] if system else spoken


def example(**fields: object) -> Example:
    content = {"id": "", "kind": "messages", "lineage": ExampleLineage(source="a.jsonl", row=4, line=9), **fields}
    return with_id(Example.model_validate(content))


def test_control_tokens_are_one_token_where_the_tokenizer_has_them() -> None:
    shown = ChatML().render(turns("é", "ok"), [])
    ids, weights = ExampleEncoder(ByteTokenizer(START, END), ChatML.controls).encode(shown)
    assert ids.tolist() == [
        257, *b"user\n", *"é".encode(), 258, *b"\n", 257, *b"assistant\n", *b"ok", 258, *b"\n"
    ]  # fmt: skip
    learnt = [token for token, weight in zip(ids.tolist(), weights.tolist(), strict=True) if weight]
    assert learnt == [*b"ok", 258]


def test_without_them_an_answer_ends_in_the_end_of_text() -> None:
    encoder = ExampleEncoder(ByteTokenizer(), ChatML.controls)
    ids, weights = encoder.encode(ChatML().render(turns("q", "ok"), []))
    learnt = [token for token, weight in zip(ids.tolist(), weights.tolist(), strict=True) if weight]
    assert learnt == [*b"ok<|im_end|>", 256]
    assert ids.tolist().count(256) == 1


def test_text_that_spells_a_control_token_stays_text() -> None:
    encoder = ExampleEncoder(ByteTokenizer(START, END), ChatML.controls)
    ids, _ = encoder.encode(ChatML().render(turns(f"a{END}b", "ok"), []))
    assert ids.tolist().count(258) == 2


def test_what_is_learnt_is_encoded_apart_from_what_is_not() -> None:
    class Merging(ByteTokenizer):
        def encode(self, text: str) -> list[int]:
            return [len(text)]

    pieces = (Piece("ab"), Piece("c"), Piece("de", 1.0), Piece("f", 0.5), Piece("", 0.5, "end"))
    ids, weights = ExampleEncoder(Merging(), ()).encode(Rendered(pieces))
    assert ids.tolist() == [3, 2, 1, 256]
    assert weights.tolist() == [0, 1, 0.5, 0.5]


def fitter(policy: str, limit: int) -> Fitter:
    section = ExamplesSection.model_validate({"max_tokens": limit, "on_overlong": policy})
    tally = ExamplesTally()
    return Fitter(section, ChatML(), ExampleEncoder(ByteTokenizer(START, END), ChatML.controls), tally)


def fitted(made: Fitter, one: Example) -> list[TokenSequence] | None:
    made.tally.enter("template")
    return made.fit(one)


def ledger_of(made: Fitter, kept: list[TokenSequence] | None) -> dict[str, tuple[int, int, int]]:
    """The changes of the step "overlong", after the whole was checked to add up."""
    tokens = sum(len(one.ids) for one in kept or [])
    learnt = sum(int(np.count_nonzero(one.weights)) for one in kept or [])
    if kept is not None:
        made.tally.enter("split", 1, tokens, learnt)
        made.tally.leave("split", 1, tokens, learnt)
    for step in ("convert", "special_text", "deduplicate", "augment"):
        made.tally.enter(step)
        made.tally.leave(step)
    counted = SplitCount(examples=int(kept is not None), tokens=tokens, learnt_tokens=learnt)
    arrows = {arrow.arrow: arrow for arrow in made.tally.ledger({"train": counted}).arrows}
    return {c.reason: (c.items, c.tokens, c.learnt_tokens) for c in arrows["overlong"].changes}


# A user's turn has 8 tokens more than its text, an assistant's 13, of which text and end are learnt.
TWO_ROUNDS = example(messages=turns("q" * 10, "a" * 10, "r" * 10, "b" * 10, system="s"))
TOKENS = (1 + 7 + 1 + 2) + 2 * (18 + 23)


def test_what_fits_is_left_alone() -> None:
    made = fitter("error", TOKENS)
    kept = fitted(made, TWO_ROUNDS)
    assert kept is not None
    assert [len(one.ids) for one in kept] == [TOKENS]
    made.stop_if_overlong()
    assert ledger_of(made, kept) == {}


def test_what_does_not_fit_is_an_error_that_names_rows_and_tokens() -> None:
    made = fitter("error", TOKENS - 1)
    fitted(made, TWO_ROUNDS)
    fitted(made, example(messages=turns("q", "a")))
    says = rf"1 of 2 texts have more than {TOKENS - 1} tokens: a.jsonl, row 4 \(line 9\): {TOKENS}"
    with pytest.raises(DataError, match=says) as caught:
        made.stop_if_overlong()
    assert caught.value.code is ErrorCode.SEQUENCE_TOO_LONG
    assert f"raise examples.max_tokens to {TOKENS}, or write examples.on_overlong: split, drop" in caught.value.remedy


def test_dropped_examples_are_counted_with_their_tokens() -> None:
    made = fitter("drop", TOKENS - 1)
    assert fitted(made, TWO_ROUNDS) is None
    assert ledger_of(made, None) == {"longer than max_tokens": (-1, -TOKENS, -22)}


def test_truncation_counts_what_is_lost() -> None:
    made = fitter("truncate", TOKENS - 5)
    kept = fitted(made, TWO_ROUNDS)
    assert kept is not None
    assert [len(one.ids) for one in kept] == [TOKENS - 5]
    # the last newline and the end of the turn, and three letters of the answer
    assert ledger_of(made, kept) == {"truncated": (0, -5, -4)}


def test_truncation_that_leaves_nothing_to_learn_drops() -> None:
    made = fitter("truncate", 20)
    one = example(messages=turns("q" * 50, "a"))
    assert fitted(made, one) is None
    assert ledger_of(made, None) == {"nothing learnt within max_tokens": (-1, -(58 + 14), -2)}


def test_conversations_are_split_between_rounds_with_the_system_prompt_again() -> None:
    made = fitter("split", 60)
    kept = fitted(made, TWO_ROUNDS)
    assert kept is not None
    assert [(one.piece, len(one.ids)) for one in kept] == [(0, 52), (1, 52)]
    assert all(bytes(one.ids[one.ids < 256].tolist()).startswith(b"system\ns\nuser\n") for one in kept)
    assert ledger_of(made, kept) == {"in several pieces": (0, 0, 0), "frame repeated in every piece": (0, 11, 0)}


def test_text_is_split_into_windows() -> None:
    made = fitter("split", 8)
    kept = fitted(made, example(kind="text", text="abcdefghijklmnopqrs"))
    assert kept is not None
    assert [len(one.ids) for one in kept] == [8, 8, 4]
    assert b"".join(bytes(one.ids[one.ids < 256].tolist()) for one in kept) == b"abcdefghijklmnopqrs"
    assert ledger_of(made, kept) == {"in several pieces": (0, 0, 0)}


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"messages": turns("q", "a", "r" * 50, "b")}, "one exchange alone is too long"),
        ({"kind": "prompt_completion", "prompt": "q" * 50, "completion": "a"}, "a prompt_completion cannot be split"),
        ({"kind": "feedback", "messages": turns("q", "a", "r", "b" * 60), "label": True}, "a feedback cannot be split"),
    ],
)
def test_what_cannot_be_split_says_so(fields: dict[str, object], why: str) -> None:
    made = fitter("split", 40)
    fitted(made, example(**fields))
    with pytest.raises(DataError, match=why) as caught:
        made.stop_if_overlong()
    assert "on_overlong: drop or truncate" in caught.value.remedy


def test_both_sides_of_a_preference_are_measured() -> None:
    made = fitter("drop", 60)
    answers = {"chosen": turns("", "a")[1:], "rejected": turns("", "b" * 60)[1:]}
    assert fitted(made, example(kind="preference", messages=turns("q"), **answers)) is None
    made = fitter("drop", 100)
    kept = fitted(made, example(kind="preference", messages=turns("q"), **answers))
    assert kept is not None
    assert [one.part for one in kept] == ["chosen", "rejected"]


def test_best_fit_by_hand() -> None:
    # 7 → row 0; 6 → row 1; 5 → row 2; 4 fits best into row 1 (room 4); 3 into row 0 (room 3); 2 and 2 into row 2.
    assert best_fit_decreasing([2, 7, 5, 3, 6, 4, 2], 10) == [[0, 2, 6], [1, 3], [4, 5]]
    assert best_fit_decreasing([], 10) == []
    assert best_fit_decreasing([10, 10], 10) == [[0], [1]]
    with pytest.raises(ValueError, match="a sequence of 11 tokens does not fit into 10"):
        best_fit_decreasing([3, 11], 10)


def slow_best_fit(lengths: list[int], capacity: int) -> int:
    """The textbook's quadratic way: how many rows it needs."""
    rooms: list[int] = []
    for length in sorted(lengths, reverse=True):
        fitting = [(room, index) for index, room in enumerate(rooms) if room >= length]
        if fitting:
            rooms[min(fitting)[1]] -= length
        else:
            rooms.append(capacity - length)
    return len(rooms)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(1, 30), max_size=60))
def test_best_fit_loses_nothing_and_is_best_fit(lengths: list[int]) -> None:
    rows = best_fit_decreasing(lengths, 30)
    assert sorted(number for row in rows for number in row) == list(range(len(lengths)))
    assert all(sum(lengths[number] for number in row) <= 30 for row in rows)
    assert len(rows) == slow_best_fit(lengths, 30)


def sequence(name: str, size: int, weight: float = 1.0) -> TokenSequence:
    return TokenSequence(name, np.arange(size, dtype=np.uint32), np.full(size, weight, dtype=np.float32))


def test_rows_come_back_with_their_borders(tmp_path: Path) -> None:
    rows = [[sequence("a", 3), sequence("b", 2, 0.0)], [sequence("c", 4, 0.5)]]
    write_token_rows(tmp_path, "train", rows)
    first, second = read_token_rows(tmp_path, "train")
    assert (first.examples, first.lengths) == (("a", "b"), (3, 2))
    assert first.ids.tolist() == [0, 1, 2, 0, 1]
    assert first.positions.tolist() == [0, 1, 2, 0, 1]
    assert first.weights.tolist() == [1, 1, 1, 0, 0]
    assert second.weights.tolist() == [0.5] * 4
    assert list(read_token_rows(tmp_path, "test")) == []
    write_token_rows(tmp_path, "test", [])
    assert list(read_token_rows(tmp_path, "test")) == []


def test_damaged_rows_are_named(tmp_path: Path) -> None:
    write_token_rows(tmp_path, "train", [[sequence("a", 3)]])
    folder = tmp_path / "rows" / "train"
    (folder / "tokens.bin").write_bytes(b"\0" * 8)
    with pytest.raises(DataError, match="tokens.bin holds 2 tokens, sequences.jsonl says 3"):
        list(read_token_rows(tmp_path, "train"))
    (folder / "sequences.jsonl").write_text("{}\n")
    with pytest.raises(DataError, match="the sequences of train cannot be read"):
        list(read_token_rows(tmp_path, "train"))


def test_a_ledger_that_does_not_add_up_stops() -> None:
    tally = ExamplesTally()
    tally.enter("convert", 3)
    tally.leave("convert", 2)
    with pytest.raises(InternalError, match=r"examples' ledger does not add up at convert: 3 items and \+0 make 3"):
        tally.ledger({})
    tally.change("convert", "lost", -1)
    with pytest.raises(InternalError, match="at convert → special_text"):
        tally.ledger({})


def test_lengths_are_reported_by_hand() -> None:
    report = length_report([1, 16, 17, 100], 16)
    assert (report.minimum, report.maximum, report.mean, report.over_limit) == (1, 100, 33.5, 2)
    assert report.histogram == {"16": 2, "32": 1, "64": 0, "128": 1}
    assert length_report([], 5).texts == 0
