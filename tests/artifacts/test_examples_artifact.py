"""The examples file: what is written is read back, ids follow content, damage is named."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from loquela.artifacts.examples import (
    Example,
    ExampleLineage,
    ExamplesWriter,
    Message,
    ToolCall,
    content_of,
    read_examples,
    with_id,
)
from loquela.core.errors import DataError

LINEAGE = ExampleLineage(source="a.jsonl", row=1, line=3)
QUESTION = Message(role="user", content="¿Dónde está\u2028el niño?")
ANSWER = Message(role="assistant", content="Aquí.")


def _example(split: str = "train", **changes: object) -> Example:
    fields = {"id": "", "kind": "messages", "messages": [QUESTION, ANSWER], "lineage": LINEAGE, "split": split}
    return with_id(Example.model_validate({**fields, **changes}))


def test_examples_come_back_in_order_and_by_split(tmp_path: Path) -> None:
    made = [_example("train"), _example("validation", messages=[ANSWER]), _example("train", messages=[QUESTION])]
    with ExamplesWriter(tmp_path) as writer:
        for example in made:
            writer.write(example)
    assert list(read_examples(tmp_path)) == made
    assert list(read_examples(tmp_path, "validation")) == [made[1]]
    assert writer.examples == {"train": 2, "validation": 1, "test": 0}
    assert len((tmp_path / "examples.jsonl").read_bytes().split(b"\n")) == 4


def test_every_kind_survives_the_file(tmp_path: Path) -> None:
    call = Message(role="assistant", content="", tool_calls=[ToolCall(name="f", arguments={"x": [1, None]}, id="c1")])
    made = [
        _example(messages=[QUESTION, call, Message(role="tool", content="7", tool_call_id="c1", name="f"), ANSWER]),
        _example(kind="prompt_completion", messages=[], prompt="", completion="b"),
        _example(kind="text", messages=[], text="abc", labels={"topic": "x"}, group="g", variant_of="0"),
        _example(kind="preference", messages=[QUESTION], chosen=[ANSWER], rejected=[QUESTION]),
        _example(kind="feedback", label=False, tools=[{"name": "f"}], language="es"),
    ]
    with ExamplesWriter(tmp_path) as writer:
        for example in made:
            writer.write(example)
    assert list(read_examples(tmp_path)) == made


def test_the_id_follows_the_content_and_nothing_else() -> None:
    elsewhere = _example(lineage=ExampleLineage(source="b.json"), split="test", labels={"a": "b"}, group="g")
    assert elsewhere.id == _example().id
    assert len(elsewhere.id) == 32
    others = [
        _example(messages=[QUESTION]),
        _example(kind="feedback", label=True),
        _example(kind="feedback", label=False),
        _example(tools=[{"name": "f"}]),
    ]
    assert len({_example().id, *(other.id for other in others)}) == 5
    assert "lineage" not in content_of(elsewhere)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"kind": "text"}, "an example of kind text lacks text, has no place for messages"),
        ({"kind": "messages", "messages": []}, "kind messages lacks messages"),
        ({"kind": "preference", "chosen": [ANSWER]}, "kind preference lacks rejected"),
        ({"kind": "feedback"}, "kind feedback lacks label"),
        ({"kind": "messages", "label": False}, "kind messages has no place for label"),
    ],
)
def test_content_that_does_not_fit_the_kind_is_refused(fields: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        _example(**fields)


def test_which_turns_are_learnt() -> None:
    def learnt(role: str, **fields: object) -> bool:
        return Message.model_validate({"role": role, "content": "x", **fields}).learnt

    assert [learnt(role) for role in ("system", "user", "assistant", "tool")] == [False, False, True, False]
    assert learnt("user", trained=True)
    assert not learnt("assistant", trained=False)
    assert not learnt("assistant", weight=0)
    assert learnt("assistant", weight=0.5)


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no examples in .*: it has no examples.jsonl") as caught:
        list(read_examples(tmp_path))
    assert "prepare-data" in caught.value.remedy
    with ExamplesWriter(tmp_path) as writer:
        writer.write(_example())
    path = tmp_path / "examples.jsonl"
    path.write_bytes(path.read_bytes() + b'{"id": "x"}\n')
    with pytest.raises(DataError, match=r"examples.jsonl, line 2, is not an example: Field required"):
        list(read_examples(tmp_path))


def test_an_instruction_and_its_input_are_told_apart() -> None:
    both = Message(role="user", content="Translate:\n\nbuenos días", input_start=12)
    assert (both.instruction, both.input) == ("Translate:", "buenos días")
    assert (QUESTION.instruction, QUESTION.input) == (QUESTION.content, "")
