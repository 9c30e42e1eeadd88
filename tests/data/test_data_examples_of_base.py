"""Rows for a base model: the ids are those that transformers makes of its chat template, whatever its shape."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from loquela.artifacts.base import read_base
from loquela.artifacts.examples import Example, ExampleLineage, Message, ToolCall
from loquela.artifacts.examples_facts import ExamplesFacts, read_template_record
from loquela.artifacts.shown_turns import chat_message
from loquela.artifacts.token_rows import read_sequences, read_token_rows
from loquela.core.errors import DataError, ErrorCode, RecipeError
from loquela.data.examples.of_base import open_base_template, read_base_parts, section_for_base
from loquela.data.examples.preview import preview
from loquela.data.examples.templates.render import render_example
from loquela.data.examples.tokens import TemplateEncoder
from loquela.recipe.examples_section import ExamplesSection
from loquela.recipe.finetune_section import FinetuneSection
from loquela.recipe.schema import Recipe
from rows_for_base import Row, conversation, make_rows
from template_shapes import SHAPES, reference, write_base_shape

USER = Message(role="user", content="¿Dónde corre el río?")
ANSWER = Message(role="assistant", content="Bajo el puente 🌉 de piedra.")
SYSTEM = Message(role="system", content="Be brief.\nAlways.")
MORE_BARE = Message(role="user", content="Where?")
MORE = Message(role="user", content="  Why?\n")
ANSWERED = Message(role="assistant", content="It runs under the bridge.  ")
CALL = Message(role="assistant", content="", tool_calls=[ToolCall(name="find", arguments={"río": [1, 2.5]})])
FOUND = Message(role="tool", content='{"answer": 1}')
TOOLS = [{"type": "function", "function": {"name": "find", "description": "añade <b>", "parameters": {}}}]

CONVERSATIONS = {
    "one": [USER, ANSWER],
    "system": [SYSTEM, USER, ANSWER],
    "turns": [USER, ANSWER, MORE, ANSWERED],
    "system_turns": [SYSTEM, USER, ANSWERED, MORE, ANSWER],
}
TEMPLATED = ["headers", "default_system", "brackets", "roles", "tagged"]


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bases")
    for name, shape in SHAPES.items():
        write_base_shape(root / name, shape)
    return root


def their_ids(
    folder: Path, messages: list[Message], tools: list[object] | None = None, *, opened: bool = False
) -> list[int]:
    turns = [chat_message(message) for message in messages]
    return list(reference(folder).apply_chat_template(turns, tools, add_generation_prompt=opened, return_dict=False))


def example(messages: list[Message], tools: list[object] | None = None) -> Example:
    return Example.model_validate(
        {"id": "x", "kind": "messages", "messages": messages, "tools": tools or [], "lineage": {"source": "a"}}
    )


def encoded(folder: Path, one: Example, **keys: object) -> tuple[list[int], list[float]]:
    parts = read_base_parts(folder)
    section = section_for_base(ExamplesSection.model_validate(keys), parts)
    with open_base_template(section, parts) as template:
        (part,) = render_example(one, template, section.learn)
        ids, weights = TemplateEncoder(parts.tokenizer).encode(part.rendered)
    return ids.tolist(), weights.tolist()


@pytest.mark.parametrize("conversation", CONVERSATIONS)
@pytest.mark.parametrize("shape", TEMPLATED)
def test_ids_are_those_of_transformers(bases: Path, shape: str, conversation: str) -> None:
    folder, messages = bases / shape, CONVERSATIONS[conversation]
    ids, weights = encoded(folder, example(messages))
    assert ids == their_ids(folder, messages)
    # What is learnt begins where the prompt ends that the model is given, and ends with a token that stops.
    stops = set(read_base(folder).eos_ids)
    learnt = [bool(weight) for weight in weights]
    starts = [place for place in range(1, len(ids)) if learnt[place] and not learnt[place - 1]]
    ends = [place for place in range(len(ids)) if learnt[place] and not [*learnt, False][place + 1]]
    asked = [index for index, message in enumerate(messages) if message.role == "assistant"]
    assert starts == [len(their_ids(folder, messages[:index], opened=True)) for index in asked]
    assert all(ids[place] in stops for place in ends)


@pytest.mark.parametrize("shape", ["headers", "default_system"])
def test_tools_are_rendered_as_transformers_does(bases: Path, shape: str) -> None:
    messages = [SYSTEM, USER, CALL, FOUND, ANSWER]
    ids, _ = encoded(bases / shape, example(messages, TOOLS))
    assert ids == their_ids(bases / shape, messages, TOOLS)


def test_a_template_that_thinks_only_in_the_last_answer_is_learnt_by_its_last_answer(bases: Path) -> None:
    folder, messages = bases / "thinking", CONVERSATIONS["turns"]
    with pytest.raises(RecipeError, match="cannot be told from the rest.*conversation goes on") as caught:
        encoded(folder, example(messages))
    assert "examples.learn: completion" in caught.value.remedy
    ids, weights = encoded(folder, example(messages), learn="completion")
    assert ids == their_ids(folder, messages)
    prompt = len(their_ids(folder, messages[:-1], opened=True))
    assert [place for place, weight in enumerate(weights) if weight] == list(range(prompt, len(ids) - 1))


def test_a_template_whose_prompt_changes_when_the_answer_follows_is_refused(bases: Path) -> None:
    folder = bases / "fused"
    prompt = their_ids(folder, [USER], opened=True)
    assert their_ids(folder, [USER, ANSWER])[: len(prompt)] != prompt
    with pytest.raises(RecipeError, match="training would not see what serving sends"):
        encoded(folder, example([USER, ANSWER]))


def test_all_tokens_are_learnt_but_the_first_and_what_a_row_leaves_out(bases: Path) -> None:
    messages = [USER, ANSWER.model_copy(update={"trained": False}), MORE, ANSWERED.model_copy(update={"weight": 0.5})]
    folder = bases / "default_system"
    ids, weights = encoded(folder, example(messages), learn="all")
    first = slice(len(their_ids(folder, messages[:1], opened=True)), len(their_ids(folder, messages[:2])) - 1)
    last = slice(len(their_ids(folder, messages[:3], opened=True)), len(ids) - 1)
    expected = [1.0] * len(ids)
    expected[0] = 0
    expected[first] = [0.0] * (first.stop - first.start)
    expected[last] = [0.5] * (last.stop - last.start)
    assert weights == expected
    # Nothing has to be told apart when everything is learnt.
    ids, weights = encoded(bases / "thinking", example(CONVERSATIONS["turns"]), learn="all")
    assert weights == [0.0] + [1.0] * (len(ids) - 1)


def test_a_base_without_a_template_takes_chatml_or_alpaca(bases: Path) -> None:
    ids, weights = encoded(bases / "no_template", example([USER, ANSWER]))
    tokenizer = read_base_parts(bases / "no_template").tokenizer
    assert tokenizer.decode(ids).startswith("<|im_start|>user\n¿Dónde")
    assert ids.count(tokenizer.id_of("<|im_start|>")) == ids.count(tokenizer.id_of("<|im_end|>")) == 2
    assert weights[ids.index(tokenizer.eos_id) :].count(1.0) > 0
    ids, weights = encoded(bases / "bare", example([USER, ANSWER]))
    assert (ids, weights) == encoded(bases / "bare", example([USER, ANSWER]), template="alpaca")
    assert ids[-1] == read_base(bases / "bare").eos_ids[0]
    assert weights[-1] == 1


@pytest.mark.parametrize(
    ("shape", "keys", "says"),
    [
        ("bare", {"template": "chatml"},
         r"bare cannot be trained with this template: it has no chat template.*lacks <\|im_start\|> and"),
        ("bare", {"template": "base"}, "the base bare has no chat template"),
        ("headers", {"template": "chatml"}, r"headers cannot be trained with this template: its vocabulary lacks"),
    ],
)  # fmt: skip
def test_what_does_not_go_with_a_base(bases: Path, shape: str, keys: dict[str, object], says: str) -> None:
    with pytest.raises(RecipeError, match=says) as caught:
        encoded(bases / shape, example([USER, ANSWER]), **keys)
    assert caught.value.code is ErrorCode.CONFIG_INVALID


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"on_special_text": "keep"}, "takes control tokens that rows spell for the tokens themselves"),
        ({"tokenizer": "tokenizer.json"}, "made with the base's own tokenizer"),
        ({"template": "custom", "template_file": "a", "template_syntax": "format"}, "knows Jinja only"),
    ],
)
def test_recipes_say_at_once_what_does_not_go_with_a_base(keys: dict[str, object], says: str) -> None:
    section = ExamplesSection.model_validate({"sources": ["a.jsonl"], **keys})
    with pytest.raises(ValidationError, match=says):
        Recipe(examples=section, finetune=FinetuneSection.model_validate({"base": "b"}))
    Recipe(examples=section)


def test_the_template_of_a_base_needs_one() -> None:
    with pytest.raises(ValidationError, match="there is no section finetune"):
        Recipe(examples=ExamplesSection(sources=["a"], template="base"))


def rows() -> list[dict[str, object]]:
    asked = [("Where?", "Under the bridge."), ("Who?", "A niño."), ("What runs?", "The river."), ("How?", "Past it.")]
    return [{"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]} for q, a in asked]


def made(tmp_path: Path, base: Path, found: list[Row], task: str = "sft", **keys: object) -> ExamplesFacts:
    return make_rows(tmp_path / "output", base, found, task, **keys)


def test_the_stage_makes_rows_for_the_base(tmp_path: Path, bases: Path) -> None:
    facts = made(tmp_path, bases / "headers", rows())
    assert (facts.template, facts.max_tokens) == ("base", 256)
    identity = read_base(bases / "headers")
    assert facts.base_digest == identity.digest
    assert facts.tokenizer_digest == identity.files["tokenizer.json"].sha256
    record = read_template_record(tmp_path / "output")
    assert record is not None
    assert (record.for_base, record.source) == (True, SHAPES["headers"].template)
    assert record.date == datetime.now().date().isoformat()
    assert record.ends == identity.eos_ids[:1]
    for row in read_token_rows(tmp_path / "output", "train"):
        text = read_base_parts(bases / "headers").tokenizer.decode(row.ids.tolist())
        assert text.startswith("<|begin|><|header|>system<|/header|>\n\nDay: ")
        assert row.ids[-1] in identity.eos_ids
    shown = preview(tmp_path / "output", 1)
    assert shown[0].marked.endswith("<|header|>assistant<|/header|>\n\n«" + shown[0].text.rpartition("\n\n")[2] + "»")


def test_a_limit_beyond_the_context_is_the_context(tmp_path: Path, bases: Path) -> None:
    long = [{"messages": [{"role": "user", "content": "a b " * 200}, {"role": "assistant", "content": "c"}]}]
    with pytest.raises(DataError, match="1 of 1 texts have more than 256 tokens") as caught:
        made(tmp_path, bases / "roles", long, max_tokens=100_000)
    assert caught.value.code is ErrorCode.SEQUENCE_TOO_LONG


def test_pieces_of_a_conversation_say_which_turns_they_show(tmp_path: Path, bases: Path) -> None:
    turns = [{"role": role, "content": "under the bridge " * 3} for role in ("user", "assistant") * 4]
    made(tmp_path, bases / "roles", [{"messages": turns}], max_tokens=60, on_overlong="split")
    found = read_sequences(tmp_path / "output", "train")
    shown = [record.turns for record in found]
    assert len(shown) > 1
    assert [turn for first, end in filter(None, shown) for turn in range(first, end)] == list(range(len(turns)))


@pytest.mark.parametrize(
    ("messages", "tools", "says"),
    [
        ([USER, Message(role="assistant", content="\n\nBajo.")], None, "an answer begins in the middle of a token"),
        ([USER, ANSWER], TOOLS, "no place for descriptions of tools"),
        ([USER, CALL, FOUND, ANSWER], None, "no place for calls of tools"),
    ],
)
def test_rows_that_a_template_would_change_in_silence_are_refused(
    tmp_path: Path, bases: Path, messages: list[Message], tools: list[object] | None, says: str
) -> None:
    row = {"messages": [chat_message(message) for message in messages], **({"tools": tools} if tools else {})}
    with pytest.raises(DataError, match=f"output.jsonl, row 1 .*{says}") as caught:
        made(tmp_path, bases / "tagged", [row])
    assert caught.value.code is ErrorCode.CORRUPT_DATA


def test_a_template_that_drops_the_system_prompt_is_refused(tmp_path: Path, bases: Path) -> None:
    path = tmp_path / "mute.jinja"
    path.write_text(
        "{% for m in messages if m.role != 'system' %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    row = {"messages": [chat_message(message) for message in (SYSTEM, USER, ANSWER)]}
    with pytest.raises(DataError, match="the template leaves out what the system says: turn 1"):
        made(tmp_path, bases / "tagged", [row], template="custom", template_file=str(path))


def test_control_tokens_of_the_base_are_not_taken_from_rows(tmp_path: Path, bases: Path) -> None:
    row = {"messages": [{"role": "user", "content": "a</s>b"}, {"role": "assistant", "content": "c"}]}
    with pytest.raises(DataError, match="a control token is spelt out: </s>"):
        made(tmp_path, bases / "brackets", [row])
    made(tmp_path, bases / "brackets", [row], on_special_text="escape")
    (token_row,) = read_token_rows(tmp_path / "output", "train")
    assert token_row.ids.tolist().count(read_base(bases / "brackets").eos_ids[0]) == 1


def test_plain_text_is_framed_as_the_tokenizer_frames_it(bases: Path) -> None:
    one = Example(id="x", kind="text", text="The river.", lineage=ExampleLineage(source="a"))
    for shape in ("headers", "brackets", "roles"):
        ids, weights = encoded(bases / shape, one)
        tokenizer = read_base_parts(bases / shape).tokenizer
        assert ids == [*reference(bases / shape)("The river.")["input_ids"], tokenizer.eos_id]
        assert weights == [0.0] + [1.0] * (len(ids) - 1)


@pytest.mark.parametrize(
    ("task", "row", "says", "remedy"),
    [
        ("sft", {"prompt": "Where?", "chosen": "Here.", "rejected": "There."}, "1 of kind preference", "task: dpo"),
        ("dpo", rows()[0], "1 of kind messages", "task: sft"),
        ("kto", {"prompt": "Where?", "chosen": "Here.", "rejected": "There."}, "learns from feedback", "task: dpo"),
    ],
)
def test_a_task_learns_from_its_own_kind_only(
    tmp_path: Path, bases: Path, task: str, row: dict[str, object], says: str, remedy: str
) -> None:
    with pytest.raises(RecipeError, match=says) as caught:
        made(tmp_path, bases / "default_system", [row], task)
    assert remedy in caught.value.remedy


def test_a_changed_tokenizer_file_is_named(tmp_path: Path) -> None:
    base = write_base_shape(tmp_path / "base", SHAPES["roles"])
    with (base / "tokenizer_config.json").open("a") as stream:
        stream.write(" ")
    with pytest.raises(DataError, match="tokenizer_config.json has") as caught:
        made(tmp_path, base, rows())
    assert caught.value.code is ErrorCode.DATA_CHANGED


FORMATS: dict[str, tuple[str, list[Row]]] = {
    "alpaca": ("sft", [{"instruction": "Add.", "input": "1 2", "output": "3"}]),
    "sharegpt": ("sft", [{"conversations": [{"from": "human", "value": "Where?"}, {"from": "gpt", "value": "Here."}]}]),
    "messages": ("sft", rows()[:1]),
    "prompt_completion": ("sft", [{"prompt": "Where?", "completion": "Here."}]),
    "text": ("sft", [{"text": "The river runs."}]),
    "preference": ("dpo", [{"prompt": "Where?", "chosen": "Here.", "rejected": "Over there."}]),
    "feedback": ("kto", [{"prompt": "Where?", "completion": "Here.", "label": False}]),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_becomes_rows_of_a_base(tmp_path: Path, bases: Path, name: str) -> None:
    task, found = FORMATS[name]
    facts = made(tmp_path, bases / "default_system", found, task)
    assert facts.splits["train"].examples == 1
    tokenizer = read_base_parts(bases / "default_system").tokenizer
    parts = {}
    for row, record in zip(
        read_token_rows(tmp_path / "output", "train"), read_sequences(tmp_path / "output", "train"), strict=True
    ):
        learnt = [token for token, weight in zip(row.ids.tolist(), row.weights.tolist(), strict=True) if weight]
        parts[record.part] = tokenizer.decode(learnt)
    assert (
        parts
        == {
            "alpaca": {"": "3<|im_end|>"},
            "sharegpt": {"": "Here.<|im_end|>"},
            "messages": {"": "Under the bridge.<|im_end|>"},
            "prompt_completion": {"": "Here.<|im_end|>"},
            "text": {"": " river runs.<|im_end|>"},
            "preference": {"chosen": "Here.<|im_end|>", "rejected": "Over there.<|im_end|>"},
            "feedback": {"": "Here.<|im_end|>"},
        }[name]
    )


def test_both_answers_of_a_preference_stand_behind_the_same_prompt(tmp_path: Path, bases: Path) -> None:
    row: Row = {
        "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where?"}],
        "chosen": [{"role": "assistant", "content": "Here."}],
        "rejected": [{"role": "assistant", "content": "Over there."}],
    }
    for shape in TEMPLATED:
        made(tmp_path, bases / shape, [row], "dpo")
        chosen, rejected = read_token_rows(tmp_path / "output", "train")
        prompt = their_ids(bases / shape, [Message(role="system", content="Be brief."), MORE_BARE], opened=True)
        for answer in (chosen, rejected):
            assert answer.ids.tolist()[: len(prompt)] == prompt
            assert answer.weights[: len(prompt)].sum() == 0
            assert answer.weights[len(prompt)] == 1


def test_where_everything_is_learnt_the_last_answer_is_recorded(tmp_path: Path, bases: Path) -> None:
    found = [conversation("Where?", "Here.", "Why?", "It runs.")]
    for shape in (*TEMPLATED, "thinking"):
        made(tmp_path, bases / shape, found, learn="all")
        ((row,), (record,)) = (list(read(tmp_path / "output", "train")) for read in (read_token_rows, read_sequences))
        assert record.answer is not None
        assert row.answers == (record.answer,)
        tokenizer = read_base_parts(bases / shape).tokenizer
        thought = "<think>\n\n</think>\n\n" if shape == "thinking" else ""
        (end,) = {tokenizer.decode([token]) for token in read_template_record(tmp_path / "output").ends}
        assert tokenizer.decode(row.ids[slice(*record.answer)].tolist()) == f"{thought}It runs.{end}"
    made(tmp_path, bases / "roles", found)
    assert [record.answer for record in read_sequences(tmp_path / "output", "train")] == [None]
