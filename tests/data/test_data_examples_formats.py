"""Formats of example files: recognised with a reason, asked when unclear, every bad row told by its place."""

import json
from pathlib import Path

import pytest

from loquela.artifacts.examples import Example
from loquela.core.errors import DataError, ErrorCode, RecipeError
from loquela.data.examples.faults import FaultReport, RowFault
from loquela.data.examples.files import example_files, read_rows
from loquela.data.examples.formats.convert import Converter
from loquela.data.examples.formats.recognise import Recognised, recognise
from loquela.recipe.examples_section import ExamplesSection

INSTRUCT = Path(__file__).parents[2] / "../shared/data/instruct"
SHARED = pytest.mark.skipif(not INSTRUCT.is_dir(), reason="the shared examples are not beside the checkout")


def section(**keys: object) -> ExamplesSection:
    return ExamplesSection.model_validate(keys)


def read(path: Path, wanted: ExamplesSection) -> tuple[Recognised, list[Example], FaultReport, Converter]:
    rows = list(read_rows(path))
    recognised = recognise(path.name, [row.fields for row in rows if isinstance(row.fields, dict)][:200], wanted)
    converter, report = Converter(recognised, wanted), FaultReport()
    found: list[Example] = []
    for row in rows:
        try:
            found += converter.convert(row)
        except RowFault as fault:
            report.add(row.place, fault)
    return recognised, found, report, converter


def from_rows(tmp_path: Path, rows: list[object], **keys: object) -> tuple[Recognised, list[Example], FaultReport]:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read(path, section(**keys))[:3]


def faults(report: FaultReport) -> dict[str, int]:
    return {count.reason: count.rows for count in report.counts}


def told(example: Example) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in example.messages]


def chat(*turns: str) -> dict[str, object]:
    """ "u:hello", "a:hi" … as messages."""
    roles = {"u": "user", "a": "assistant", "s": "system", "t": "tool"}
    return {"messages": [{"role": roles[turn[0]], "content": turn[2:]} for turn in turns]}


def test_alpaca_keeps_instruction_and_input_apart(tmp_path: Path) -> None:
    recognised, found, report = from_rows(
        tmp_path,
        [
            {"instruction": "Add.", "input": "1 2", "output": "3"},
            {"instruction": "Greet.", "input": "", "output": "Hi", "system": "Be brief.", "history": [["a", "b"]]},
            {"instruction": "Greet.", "output": " "},
        ],
    )
    assert recognised.format == "alpaca"
    assert told(found[0]) == [("user", "Add.\n\n1 2"), ("assistant", "3")]
    assert (found[0].messages[0].instruction, found[0].messages[0].input) == ("Add.", "1 2")
    assert told(found[1])[:3] == [("system", "Be brief."), ("user", "a"), ("assistant", "b")]
    assert found[1].messages[3].input_start is None
    assert (found[0].lineage.row, found[0].lineage.line) == (1, 1)
    assert faults(report) == {"empty answer": 1}


def test_instances_of_one_instruction_become_examples(tmp_path: Path) -> None:
    row = {"instruction": "Add.", "instances": [{"input": "1 2", "output": "3"}, {"input": "2 2", "output": "4"}]}
    _, found, report = from_rows(tmp_path, [row, {"instruction": "Add.", "instances": []}])
    assert [told(example)[0][1] for example in found] == ["Add.\n\n1 2", "Add.\n\n2 2"]
    assert faults(report) == {"no instances": 1}


def test_sharegpt_with_tools(tmp_path: Path) -> None:
    call = json.dumps({"name": "add", "arguments": {"a": 1}})
    turns = [("human", "1+1?"), ("function_call", call), ("observation", "2"), ("gpt", "Two.")]
    row = {"conversations": [{"from": who, "value": what} for who, what in turns], "tools": '[{"name": "add"}]'}
    recognised, found, report = from_rows(tmp_path, [row])
    assert str(recognised).startswith("rows.jsonl: sharegpt (messages = conversations, tools), the only format")
    assert [message.role for message in found[0].messages] == ["user", "assistant", "tool", "assistant"]
    assert found[0].messages[1].tool_calls[0].arguments == {"a": 1}
    assert found[0].tools == [{"name": "add"}]
    assert not report.counts


def test_openai_messages_with_typed_content_and_tool_calls(tmp_path: Path) -> None:
    turns = [
        {"content": [{"type": "text", "text": "a"}, {"type": "text", "value": "b"}], "role": "user", "id": 7},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": ""},
        {"role": "assistant", "content": "Done.", "weight": 0.5},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"messages": turns}) + "\n")
    _, found, report, converter = read(path, section())
    assert not report.counts
    assert told(found[0]) == [("user", "ab"), ("assistant", ""), ("tool", ""), ("assistant", "Done.")]
    assert found[0].messages[1].tool_calls[0].arguments == {"x": 1}
    assert found[0].messages[3].weight == 0.5
    assert dict(converter.ignored) == {"id": 1}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (chat("u:a", "a:"), "empty answer"),
        (chat("u: ", "a:b"), "empty question"),
        (chat("u:a", "u:b", "a:c"), "two user turns in a row"),
        (chat("u:a", "a:b", "a:c"), "two assistant turns in a row"),
        (chat("a:a", "u:b", "a:c"), "starts with the assistant"),
        (chat("u:a", "a:b", "u:c"), "ends with the user"),
        (chat("s:", "u:a", "a:b"), "empty system prompt"),
        (chat("s:x"), "no turns at all"),
        (chat("u:a", "s:b", "a:c"), "a system prompt in the middle"),
        (chat("u:a", "a:b", "t:c", "a:d"), "a tool's answer without a call"),
        ({"messages": []}, "no turns at all"),
        ({"messages": {"role": "user"}}, "turns are not a list"),
        ({"messages": "[{"}, "turns are text that is not JSON"),
        ({"messages": ["hello"]}, "a turn is not an object"),
        ({"messages": [{"role": "user"}]}, "a turn without content"),
        ({"messages": [{"content": "x"}]}, "a turn without role"),
        ({"messages": [{"role": "user", "content": "x", "value": "y"}]}, "a turn with two keys for content"),
        ({"messages": [{"role": "narrator", "content": "x"}]}, "unknown role"),
        ({"messages": [{"role": 1, "content": "x"}]}, "a role is not text"),
        ({"messages": [{"role": "user", "content": 5}]}, "content is not text"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "a content part that is not text"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "a content part without its text"),
        ({"messages": [{"role": "user", "content": "x", "weight": "1"}]}, "a turn's key has the wrong type"),
        ({"messages": [{"from": "function_call", "value": "{"}]}, "a tool call is not JSON"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "a tool call without a name"),
        ({"messages": [{"role": "user", "content": "\ud800"}, {"role": "assistant", "content": "x"}]}, "text that is"),
        ({"other": 1}, "no messages"),
        ([1], "a row is not an object"),
    ],
)
def test_each_fault_is_told_and_the_rest_is_read(tmp_path: Path, row: object, reason: str) -> None:
    good = chat("s:x", "u:a", "a:b", "u:c", "a:d")
    _, found, report = from_rows(tmp_path, [good, row, good])
    assert len(found) == 2
    assert len(report.counts) == 1
    assert report.counts[0].reason.startswith(reason)
    with pytest.raises(DataError, match=r"rows.jsonl, row 2 \(line 2\) cannot be learnt from: " + reason) as caught:
        report.stop()
    assert "on_bad_row: drop" in caught.value.remedy


def test_untrained_turns_leave_nothing_to_learn(tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "train": False}]}
    assert faults(from_rows(tmp_path, [row])[2]) == {"nothing to learn": 1}


def test_many_faults_are_counted_in_one_message(tmp_path: Path) -> None:
    rows = [chat("u:a", "a:b"), chat("u:a", "a:"), chat("u:a"), chat("u:a", "a:")]
    report = from_rows(tmp_path, rows)[2]
    with pytest.raises(DataError, match=r"rows with faults: 2 × empty answer, 1 × ends with the user"):
        report.stop()
    FaultReport().stop()


PREFERENCES = [
    ({"prompt": "q", "chosen": "a", "rejected": "b"}, [("user", "q")]),
    ({"question": "q", "system": "s", "chosen": "a", "rejected": "b"}, [("system", "s"), ("user", "q")]),
    ({"instruction": "q", "input": "i", "chosen": "a", "rejected": "b"}, [("user", "q\n\ni")]),
    (
        {
            "conversations": [{"from": "human", "value": "q"}],
            "chosen": {"from": "gpt", "value": "a"},
            "rejected": {"from": "gpt", "value": "b"},
        },
        [("user", "q")],
    ),
    (
        {"chosen": chat("u:q", "a:a")["messages"], "rejected": chat("u:q", "a:b")["messages"]},
        [("user", "q")],
    ),
    (
        {"prompt": "q", "chosen": chat("u:q", "a:a")["messages"], "rejected": chat("u:q", "a:b")["messages"]},
        [("user", "q")],
    ),
]


@pytest.mark.parametrize(("row", "prompt"), PREFERENCES)
def test_preferences_in_several_spellings(tmp_path: Path, row: object, prompt: list[tuple[str, str]]) -> None:
    recognised, found, report = from_rows(tmp_path, [row])
    assert recognised.format == "preference"
    assert not report.counts
    assert told(found[0]) == prompt
    assert [message.content for message in (*found[0].chosen, *found[0].rejected)] == ["a", "b"]


def test_preferences_that_prefer_nothing(tmp_path: Path) -> None:
    rows = [
        {"prompt": "q", "chosen": "a", "rejected": "b"},
        {"prompt": "q", "chosen": "a", "rejected": "a"},
        {"prompt": "q", "chosen": "", "rejected": "a"},
        {"prompt": "p", "chosen": chat("u:q", "a:a")["messages"], "rejected": chat("u:q", "a:b")["messages"]},
    ]
    assert faults(from_rows(tmp_path, rows)[2]) == {
        "chosen and rejected are the same": 1,
        "empty answer": 1,
        "the answers begin with another conversation than the prompt": 1,
    }
    apart = {"chosen": chat("u:p", "a:a")["messages"], "rejected": chat("u:q", "a:b")["messages"]}
    assert faults(from_rows(tmp_path, [apart])[2]) == {"no prompt": 1}


def test_feedback_needs_a_boolean(tmp_path: Path) -> None:
    row = chat("u:a", "a:b")
    recognised, found, report = from_rows(tmp_path, [{**row, "label": True}, {**row, "label": "False"}])
    assert (recognised.format, [example.label for example in found]) == ("feedback", [True, False])
    recognised, found, report = from_rows(tmp_path, [{**row, "label": True}, {**row, "label": None}])
    assert faults(report) == {"a label is not true or false": 1}
    # A class number is no judgement: the rows are conversations, and the column is shown as not used.
    recognised, found, _ = from_rows(tmp_path, [{**row, "label": 3}])
    assert (recognised.format, recognised.unused_columns) == ("messages", ["label"])
    recognised, found, _ = from_rows(tmp_path, [{**row, "label": 3}], label_columns=["label"])
    assert (recognised.unused_columns, found[0].labels) == ([], {"label": "3"})
    paired = {"prompt": "q", "completion": "a", "label": False}
    assert from_rows(tmp_path, [paired])[0].format == "feedback"


def test_prompt_and_completion(tmp_path: Path) -> None:
    recognised, found, _ = from_rows(tmp_path, [{"question": "q", "answer": "a", "id": 1}])
    assert (recognised.format, recognised.columns) == (
        "prompt_completion",
        {"prompt": "question", "completion": "answer"},
    )
    assert (found[0].prompt, found[0].completion) == ("q", "a")
    with_system = from_rows(tmp_path, [{"system": "s", "prompt": "q", "completion": "a"}])[1][0]
    assert told(with_system) == [("system", "s"), ("user", "q"), ("assistant", "a")]
    turns = {"prompt": chat("u:q")["messages"], "completion": chat("a:a")["messages"]}
    assert told(from_rows(tmp_path, [turns])[1][0]) == [("user", "q"), ("assistant", "a")]


def test_two_formats_that_fit_are_asked_about(tmp_path: Path) -> None:
    both = {"instruction": "i", "output": "o", "text": "i o"}
    with pytest.raises(
        RecipeError, match=r"can be read as alpaca \(instruction, output\) or as text \(text\)"
    ) as caught:
        from_rows(tmp_path, [both])
    assert caught.value.remedy == "write examples.format: alpaca or examples.format: text"
    assert from_rows(tmp_path, [both], format="text")[1][0].text == "i o"
    answers = {"question": "q", "answer": "a", "response": "b"}
    with pytest.raises(RecipeError, match="and nothing says which") as caught:
        from_rows(tmp_path, [answers])
    assert caught.value.remedy == (
        "write examples.columns: {completion: answer} or examples.columns: {completion: response}"
    )
    assert from_rows(tmp_path, [answers], columns={"completion": "response"})[1][0].completion == "b"


def test_columns_by_other_names(tmp_path: Path) -> None:
    odd = {"ask": "q", "reply": "a"}
    with pytest.raises(RecipeError, match=r"has rows of no known format with the columns ask, reply") as caught:
        from_rows(tmp_path, [odd])
    assert caught.value.code is ErrorCode.UNSUPPORTED_FORMAT
    assert "examples.columns: {prompt: <column>" in caught.value.remedy
    recognised, found, _ = from_rows(tmp_path, [odd], columns={"prompt": "ask", "completion": "reply"})
    assert found[0].completion == "a"
    assert "as examples.columns says" in recognised.why
    with pytest.raises(RecipeError, match=r"has no column 'replay', which examples.columns names") as caught:
        from_rows(tmp_path, [odd], columns={"prompt": "ask", "completion": "replay"})
    assert "'reply' perhaps" in caught.value.remedy
    turns = {"talk": [{"who": "customer", "says": "q"}, {"who": "agent", "says": "a"}]}
    _, found, _ = from_rows(
        tmp_path,
        [turns],
        columns={"messages": "talk", "role": "who", "content": "says"},
        roles={"user": ["customer"], "assistant": ["agent"]},
    )
    assert told(found[0]) == [("user", "q"), ("assistant", "a")]


def test_placeholders_are_counted_or_filled(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(chat("u:who?", "a:I am {{name}} by {{ author }}.")) + "\n")
    _, found, _, converter = read(path, section())
    assert told(found[0])[1][1] == "I am {{name}} by {{ author }}."
    assert dict(converter.placeholders) == {"name": 1, "author": 1}
    _, found, _, converter = read(path, section(placeholders=["name=Lo=la", "author=me"]))
    assert told(found[0])[1][1] == "I am Lo=la by me."
    assert (dict(converter.placeholders), dict(converter.filled)) == ({}, {"name": 1, "author": 1})


def test_a_system_prompt_for_those_without_one(tmp_path: Path) -> None:
    _, found, _ = from_rows(tmp_path, [chat("u:a", "a:b"), chat("s:own", "u:a", "a:b")], system_prompt="be kind")
    assert [told(example)[0] for example in found] == [("system", "be kind"), ("system", "own")]


def test_json_in_every_frame(tmp_path: Path) -> None:
    good = '{"text": "a"}'
    frames = {
        "list.json": f"[\n{good},\n{good}\n]\n",
        "one.json": "\ufeff" + good,
        "several.json": f"{good}\n{good}",
        "lines.jsonl": f"{good}\r\n\r\n{good}",
    }
    places = {}
    for name, text in frames.items():
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
        places[name] = [(row.place.row, row.place.line) for row in read_rows(tmp_path / name)]
    assert places == {
        "list.json": [(1, 2), (2, 3)],
        "one.json": [(1, 1)],
        "several.json": [(1, 1), (2, 2)],
        "lines.jsonl": [(1, 1), (2, 3)],
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[{"a": 1}, {"a": 2}', "the list does not end: the file is cut short"),
        ('[{"a": 1} {"a": 2}]', "a comma or the end of the list is missing"),
        ('[{"a": 1}] x', "something follows behind the list"),
        ('[{"a": 1}, {"a" 2}]', r"line 1, column 17: Expecting ':' delimiter"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_damaged_json_file_says_where(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"rows.json is not whole JSON at .*" + says):
        list(read_rows(path))


def test_a_damaged_line_costs_that_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(
        '{"text": "a"}\n{"text": \n{"text": "b", "text": "c"}\n{"text": NaN}\n{"text": "d"} x\n{"text": "e"}'
    )
    _, found, report, _ = read(path, section())
    assert [example.text for example in found] == ["a", "e"]
    assert faults(report) == {"a line is not JSON": 2, "a key stands twice": 1, "a number that is none": 1}


def test_text_that_is_not_utf8_says_where(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"text": "a"}\n{"text": "ni\xf1o"}\n')
    with pytest.raises(DataError, match=r"the byte 0xf1 at 26 \(line 2\) is not UTF-8") as caught:
        list(read_rows(path))
    assert caught.value.code is ErrorCode.ENCODING_ERROR


def test_tables(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('question,answer\n"a, ""b""\nc",d\n\ne\n')
    _, found, report, _ = read(path, section())
    assert (found[0].prompt, found[0].completion) == ('a, "b"\nc', "d")
    assert (found[0].lineage.row, found[0].lineage.line) == (1, 2)
    assert report.counts[0].examples == [
        f"{path}, row 2 (line 5): a row with more or fewer values than the header: 1 for 2"
    ]
    (tmp_path / "rows.tsv").write_text("prompt\tcompletion\nq\ta\n")
    assert read(tmp_path / "rows.tsv", section())[1][0].completion == "a"
    for text, says in (
        ("a,a\n1,2\n", "has no header of column names: 'a' stands there twice"),
        ('a,b\n"1,2\n', "is not a whole table near line 2"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=says):
            list(read_rows(path))


def test_parquet_and_arrow(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    ipc = pytest.importorskip("pyarrow.ipc")
    table = arrow.table({"messages": [[{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]] * 3})
    parquet.write_table(table, tmp_path / "rows.parquet")
    with ipc.new_file(str(tmp_path / "rows.arrow"), table.schema) as writer:
        writer.write_table(table)
    for name in ("rows.parquet", "rows.arrow"):
        _, found, _, _ = read(tmp_path / name, section())
        assert [told(example) for example in found] == [[("user", "q"), ("assistant", "a")]] * 3
        assert found[2].lineage.row == 3
        damaged = tmp_path / f"cut-{name}"
        damaged.write_bytes((tmp_path / name).read_bytes()[:100])
        with pytest.raises(DataError, match="cannot be read as a table behind row 0"):
            list(read_rows(damaged))


def test_files_of_a_source(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.json", "notes.md", "below/c.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert [path.name for path in example_files(str(tmp_path))] == ["a.json", "b.jsonl", "c.csv"]
    assert [path.name for path in example_files(str(tmp_path / "*.json*"))] == ["a.json", "b.jsonl"]
    with pytest.raises(DataError, match="where there is no file of examples"):
        example_files(str(tmp_path / "*.parquet"))
    with pytest.raises(DataError, match=r"is not a file of examples by its name: it ends in '.md'"):
        example_files(str(tmp_path / "notes.md"))
    with pytest.raises(DataError, match=r"cannot read .*: No such file"):
        list(read_rows(tmp_path / "gone.json"))


EXPECTED = {
    "alpaca_en_500.json": ("alpaca", 500, {}),
    "alpaca_original_sample.json": ("alpaca", 29, {}),
    "axolotl_conversation.json": ("sharegpt", 1, {}),
    "axolotl_conversation.missingturns.json": ("sharegpt", 0, {"empty answer": 1}),
    "dpo_sharegpt_200.json": ("preference", 200, {}),
    "gsm8k_messages_500.jsonl": ("messages", 500, {}),
    "kto_messages_150.json": ("feedback", 150, {}),
    "messages_typed_content_200.jsonl": ("messages", 200, {}),
    "messages_zh_3.jsonl": ("messages", 4, {}),
    "self_instruct_seed_175.jsonl": ("alpaca", 175, {}),
    "sharegpt_identity_300.json": ("sharegpt", 300, {}),
    "sharegpt_toolcall_200.json": ("sharegpt", 200, {}),
}


@SHARED
@pytest.mark.parametrize("name", EXPECTED)
def test_shared_files_are_recognised_and_read_whole(name: str) -> None:
    recognised, found, report, converter = read(INSTRUCT / name, section())
    assert (recognised.format, len(found), faults(report)) == EXPECTED[name]
    if name.startswith("messages_typed"):
        assert dict(converter.placeholders) == {"name": 46, "author": 39}
        assert {message.weight for message in found[0].messages} == {0.0, 1.0}
    if name == "sharegpt_toolcall_200.json":
        calls = [message for example in found for message in example.messages if message.tool_calls]
        assert len(calls) > 50 and all(isinstance(message.tool_calls[0].arguments, dict) for message in calls)


@SHARED
def test_no_shared_file_is_left_out() -> None:
    assert sorted(path.name for path in INSTRUCT.iterdir()) == sorted(EXPECTED)
