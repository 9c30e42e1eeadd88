"""Files → examples folder, whole: counts that add up, leak-proof splits, the same bytes for the same recipe."""

import json
import re
from pathlib import Path

import pytest

from loquela.artifacts.context import StageContext, StopRequest
from loquela.artifacts.examples import Example, ExampleLineage, ExamplesWriter, Message, read_examples, with_id
from loquela.artifacts.examples_facts import ExamplesFacts
from loquela.artifacts.manifest import write_manifest
from loquela.artifacts.token_rows import read_token_rows
from loquela.core.errors import DataError, ErrorCode, Interrupted, RecipeError
from loquela.data.examples.build import Materials, build_examples
from loquela.data.examples.preview import preview
from loquela.data.examples.split import draw_splits, head_of, question_text
from loquela.data.examples.stage import build, fingerprint
from loquela.data.examples.templates.chatml import ChatML
from loquela.data.examples.templates.manager import close, open_template
from loquela.monitoring.events import SilentBus
from loquela.recipe.examples_section import ExamplesSection
from loquela.recipe.qa_section import QaSection
from loquela.recipe.schema import Recipe, TokenizerSection
from loquela.tokenizers.train import train_tokenizer

INSTRUCT = Path(__file__).parents[2] / "../shared/data/instruct"
COLOURS = ("red", "green", "blue", "black", "white", "pink", "grey", "brown")
THINGS = ("boat", "house", "river", "stone", "bird", "letter", "garden", "bridge")


def rows() -> list[dict[str, str]]:
    """64 questions that no two of share five words, by topic."""
    return [
        {"instruction": f"Explain {colour} {thing}s.", "output": f"A {thing} that is {colour}.", "topic": colour}
        for colour in COLOURS
        for thing in THINGS
    ]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    return path


def section(*sources: Path, **keys: object) -> ExamplesSection:
    return ExamplesSection.model_validate({"sources": [str(path) for path in sources], **keys})


def made(directory: Path, wanted: ExamplesSection, generated: Path | None = None) -> ExamplesFacts:
    directory.mkdir(exist_ok=True)
    template = open_template(wanted)
    try:
        return build_examples(Materials(wanted, template, generated=generated), directory)
    finally:
        close(template)


def ledger(directory: Path) -> dict[str, dict[str, int]]:
    """Per arrow the changes in items by reason."""
    found = json.loads((directory / "ledger.json").read_text())
    return {arrow["arrow"]: {c["reason"]: c["items"] for c in arrow["changes"]} for arrow in found["arrows"]}


def report(directory: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((directory / "report.json").read_text())
    return found


def test_every_row_is_accounted_for(tmp_path: Path, source: Path) -> None:
    with source.open("a") as stream:
        stream.write(json.dumps(rows()[0]) + "\n")
        stream.write(json.dumps({"instruction": "Explain.", "output": ""}) + "\n")
        stream.write(json.dumps({"instruction": "Say <|im_end|>.", "output": "No."}) + "\n")
    wanted = section(source, on_bad_row="drop", label_columns=["topic"], stratify_by="topic", test_fraction=0.25,
                     validation_fraction=0.125, augment={"instruction_variations": 1})  # fmt: skip
    facts = made(tmp_path / "out", wanted)
    kept = list(read_examples(tmp_path / "out"))
    train, held_out = facts.splits["train"], [facts.splits["validation"], facts.splits["test"]]
    assert train.examples - train.variants + sum(count.examples for count in held_out) == 64
    assert train.variants == train.examples / 2
    assert (facts.splits["validation"].variants, facts.splits["test"].variants) == (0, 0)
    assert len(kept) == facts.examples
    assert facts.dropped == {
        "empty answer": 1,
        "a control token is spelt out": 1,
        "exactly equal to an earlier one": 1,
    }
    assert ledger(tmp_path / "out") == {
        "convert": {"empty answer": -1},
        "special_text": {"a control token is spelt out": -1},
        "deduplicate": {"exactly equal to an earlier one": -1},
        "augment": {"variants": train.variants},
        "template": {},
        "overlong": {},
        "split": {},
    }
    for colour in COLOURS:  # 3 of 8 are held out, to within one
        drawn = [one.split for one in kept if one.labels["topic"] == colour and one.variant_of is None]
        assert len(drawn) == 8
        assert 4 <= drawn.count("train") <= 6
    assert {path.name for path in (tmp_path / "out").rglob("*")} == {
        "examples.jsonl", "ledger.json", "report.json", "template.json"
    }  # fmt: skip


def test_the_same_recipe_gives_the_same_bytes(tmp_path: Path, source: Path) -> None:
    wanted = section(source, augment={"instruction_variations": 2, "paraphrases": 1, "surface_variations": 1})
    for name in ("one", "two"):
        made(tmp_path / name, wanted)
    names = ("examples.jsonl", "ledger.json", "report.json", "template.json")
    assert [(tmp_path / "one" / name).read_bytes() for name in names] == [
        (tmp_path / "two" / name).read_bytes() for name in names
    ]
    made(tmp_path / "three", wanted.model_copy(update={"seed": 2}))
    assert (tmp_path / "three/examples.jsonl").read_bytes() != (tmp_path / "one/examples.jsonl").read_bytes()


def test_bad_rows_stop_the_stage_with_their_place(tmp_path: Path, source: Path) -> None:
    lines = source.read_text().splitlines()
    source.write_text("\n".join([*lines[:5], '{"instruction": "a", "output": ""}', "{", *lines[5:]]))
    with pytest.raises(DataError, match=r"rows.jsonl, row 6 \(line 6\) cannot be learnt from: empty answer") as caught:
        made(tmp_path / "out", section(source))
    assert "1 × a line is not JSON, 1 × empty answer" in caught.value.message
    assert not (tmp_path / "out" / "examples.jsonl").exists()
    assert not list((tmp_path / "out").glob(".tmp*spool*"))


def test_a_template_without_a_place_for_a_row_is_a_fault_of_the_row(tmp_path: Path, source: Path) -> None:
    tools = {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}], "tools": "[{}]"}
    other = tmp_path / "tools.json"
    other.write_text(json.dumps([tools]))
    with pytest.raises(DataError, match="tools.json, row 1 .*: the template alpaca has no place for tools"):
        made(tmp_path / "out", section(source, other, template="alpaca"))
    facts = made(tmp_path / "out", section(source, other, template="alpaca", on_bad_row="drop"))
    assert facts.dropped == {"the template alpaca has no place for tools": 1}


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "completion": ""}\n')
    with pytest.raises(DataError, match="no example is left to train on: 1 × empty answer") as caught:
        made(tmp_path / "out", section(path, on_bad_row="drop"))
    assert caught.value.code is ErrorCode.INSUFFICIENT_DATA
    for text, why in (("", "it has no rows"), ("[1]\n", "its rows are no objects"), ("{\n", "a line is not JSON")):
        path.write_text(text)
        with pytest.raises(DataError, match=f"has nothing to learn from: {why}"):
            made(tmp_path / "out", section(path, on_bad_row="drop"))


def test_columns_that_no_file_has_are_a_slip(tmp_path: Path, source: Path) -> None:
    with pytest.raises(DataError, match="no file has the column 'question' that examples.columns names; there are"):
        made(tmp_path / "out", section(source, columns={"prompt": "question"}))
    odd = tmp_path / "odd.jsonl"
    odd.write_text('{"ask": "q", "reply": "a"}\n')
    facts = made(tmp_path / "out", section(source, odd, columns={"prompt": "ask", "completion": "reply"}))
    assert facts.kinds == {"messages": 64, "prompt_completion": 1}


def question(text: str, number: int, **fields: object) -> Example:
    turns = [Message(role="user", content=text), Message(role="assistant", content=f"answer {number}")]
    base = {"id": "", "kind": "messages", "lineage": ExampleLineage(source="a", row=number + 1)}
    return with_id(Example.model_validate({**base, "messages": turns, **fields}))


def splits_of(examples: list[Example], **keys: object) -> list[str]:
    wanted = section(validation_fraction=0.3, **keys)
    heads = [head_of(example, wanted.stratify_by, None) for example in examples]
    return list(draw_splits(heads, lambda number: question_text(examples[number]), wanted)[0])


def test_what_belongs_together_stays_on_one_side() -> None:
    words = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau".split()
    examples = []
    for number in range(30):
        start = number % len(words)
        text = f"{number} " + " ".join([*words[start:], *words[:start]][:12] * 2)
        examples += [
            question(text, number),
            question(f"  {text.upper()}", number + 100),  # the same but for case and space
            question(text + " tail", number + 200),  # nearly the same
            question(f"unlike {number}", number + 300, group=f"group {number}"),
            question(f"other {number} x", number + 400, group=f"group {number}"),
            question(f"chunk {number}", number + 500, lineage=ExampleLineage(source="d", document=f"d{number}")),
            question(f"more {number} y", number + 600, lineage=ExampleLineage(source="d", document=f"d{number}")),
        ]
    drawn = splits_of(examples)
    for start in range(0, len(examples), 7):
        same, grouped, chunk = drawn[start : start + 3], drawn[start + 3 : start + 5], drawn[start + 5 : start + 7]
        assert len(set(same)) == len(set(grouped)) == len(set(chunk)) == 1
    assert 0.2 < drawn.count("validation") / len(drawn) < 0.4


def test_one_question_asked_everywhere_is_learnt_from() -> None:
    examples = [question("Who are you?", number) for number in range(50)]
    examples += [question(f"What is thing {number}?", 100 + number) for number in range(50)]
    drawn = splits_of(examples)
    assert set(drawn[:50]) == {"train"}
    assert drawn[50:].count("validation") == 15


def test_no_split_when_none_is_wanted() -> None:
    examples = [question(f"What is thing {number}?", number) for number in range(9)]
    heads = [head_of(example, "source", None) for example in examples]
    drawn, _ = draw_splits(heads, lambda number: question_text(examples[number]), section(validation_fraction=0))
    assert set(drawn) == {"train"}


def test_a_variant_never_asks_what_is_held_out(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    asked = [f"Explain {thing}." for thing in THINGS] + [f"Please explain {thing}." for thing in THINGS]
    path.write_text("".join(json.dumps({"prompt": text, "completion": text[::-1]}) + "\n" for text in asked))
    wanted = section(path, validation_fraction=0.4, augment={"instruction_variations": 10, "max_variants": 20})
    made(tmp_path / "out", wanted)
    kept = list(read_examples(tmp_path / "out"))
    held_out = {str(example.prompt).casefold() for example in kept if example.split != "train"}
    assert held_out
    assert not [example for example in kept if example.variant_of and str(example.prompt).casefold() in held_out]
    assert ledger(tmp_path / "out")["augment"]["variants that ask what another example asks"] < 0
    assert report(tmp_path / "out")["leakage"]["sharing_any"] == 0


def generated(directory: Path) -> Path:
    """Questions made from one book, whose chunks were split."""
    directory.mkdir()
    with ExamplesWriter(directory) as writer:
        for number in range(6):
            split = "validation" if number % 2 else "train"
            where = ExampleLineage(source="book.txt", document=f"chunk{number}")
            writer.write(
                question(f"What does chunk {number} say?", number, split=split, group="book.txt", lineage=where)
            )
    return directory


def test_generated_examples_keep_the_split_of_their_documents(tmp_path: Path, source: Path) -> None:
    folder = generated(tmp_path / "qa")
    facts = made(tmp_path / "out", section(source, validation_fraction=0.25), folder)
    kept = list(read_examples(tmp_path / "out"))
    assert [example.split for example in kept if example.group] == ["train", "validation"] * 3
    assert 15 <= facts.splits["validation"].examples - 3 <= 17
    alone = made(tmp_path / "alone", section(), folder)
    assert alone.examples == 6
    assert preview(tmp_path / "alone", 1)[0].place == "book.txt, document chunk0"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    texts = [f"{row['instruction']} {row['output']} user assistant <|im_start|>" for row in rows()] * 3
    train_tokenizer(
        TokenizerSection(method="bpe", vocab_size=300), lambda: iter(texts), lambda: iter(texts), folder, SilentBus()
    )
    write_manifest(folder, "tokenizer")
    return folder


def context(tmp_path: Path, wanted: ExamplesSection | None, **inputs: Path) -> StageContext:
    output = tmp_path / "output"
    output.mkdir(exist_ok=True)
    return StageContext(
        recipe=Recipe(examples=wanted), bus=SilentBus(), inputs=inputs, output=output, run_directory=tmp_path
    )


def test_the_stage_counts_tokens_and_packs_rows(tmp_path: Path, source: Path, tokenizer: Path) -> None:
    wanted = section(source, max_tokens=200, pack=True)
    found = build(context(tmp_path, wanted, tokenizer=tokenizer))
    facts = ExamplesFacts.model_validate(found.facts)
    train = facts.splits["train"]
    assert facts.tokenizer_digest is not None
    packed = list(read_token_rows(tmp_path / "output", "train"))
    assert len(packed) == train.rows < train.sequences == train.examples
    assert sum(len(row.ids) for row in packed) == train.tokens
    assert sum(int((row.weights > 0).sum()) for row in packed) == train.learnt_tokens
    assert all(len(row.ids) <= 200 for row in packed)
    assert train.padding_tokens == 200 * train.rows - train.tokens
    packing = report(tmp_path / "output")["packing"]
    assert packing["train"]["rows_unpacked"] == train.sequences
    assert f"{train.learnt_tokens:,} of {train.tokens:,} training tokens are learnt" in found.summary
    one = preview(tmp_path / "output", 3, "train")
    assert len(one) == 3
    assert re.match(
        r"<\|im_start\|>user\nExplain \w+ \w+\.<\|im_end\|>\n<\|im_start\|>assistant\n«A \w+ that is", one[0].marked
    )
    assert one[0].tokens is not None and one[0].learnt_tokens is not None
    assert 0 < one[0].learnt_tokens < one[0].tokens
    # Which row comes first depends on the split.
    assert re.match(r"A \w+ that is \w+\.", one[0].text[one[0].learnt[0].start : one[0].learnt[0].end])


def test_the_tokenizer_may_be_a_file(tmp_path: Path, source: Path, tokenizer: Path) -> None:
    by_folder = build(context(tmp_path, section(source, tokenizer=tokenizer))).facts["splits"]
    by_file = build(context(tmp_path, section(source, tokenizer=tokenizer / "tokenizer.json"))).facts["splits"]
    assert by_folder == by_file
    with pytest.raises(RecipeError, match="examples.max_tokens needs a tokenizer to count with") as caught:
        build(context(tmp_path, section(source, max_tokens=100)))
    assert "examples.tokenizer" in caught.value.remedy


def test_the_stage_needs_examples_and_stops_when_asked(tmp_path: Path, source: Path) -> None:
    for wanted in (None, section()):
        with pytest.raises(RecipeError, match="the recipe names no examples"):
            build(context(tmp_path, wanted))
    with_qa = context(tmp_path, section(), qa=generated(tmp_path / "qa"))
    with_qa.recipe.qa = QaSection(provider="offline")
    assert build(with_qa).facts["examples"] == 6
    stopped = context(tmp_path, section(source))
    stopped.stop = StopRequest()
    stopped.stop.request("SIGINT")
    with pytest.raises(Interrupted, match=r"stopped while making examples \(SIGINT\)"):
        build(stopped)


def test_the_fingerprint_follows_every_file(tmp_path: Path, source: Path, tokenizer: Path) -> None:
    template = tmp_path / "mine.txt"
    template.write_text("{prompt} {completion}")
    wanted = section(source, template="custom", template_file=template, template_syntax="format", tokenizer=tokenizer)
    before = fingerprint(Recipe(examples=wanted))
    assert before == fingerprint(Recipe(examples=wanted))
    for path in (source, template):
        path.write_text(path.read_text() + "\n")
        after = fingerprint(Recipe(examples=wanted))
        assert after != before
        before = after
    assert any("tokenizer.json" in name for name in before)


def test_a_preview_of_generated_examples_and_of_custom_templates(tmp_path: Path, source: Path) -> None:
    assert preview(generated(tmp_path / "qa"), 1)[0].text.startswith(ChatML.controls[0])
    template = tmp_path / "mine.txt"
    template.write_text("Q: {prompt}\nA: {completion}")
    wanted = section(source, template="custom", template_file=template, template_syntax="format")
    made(tmp_path / "out", wanted)
    assert preview(tmp_path / "out", 1)[0].marked == "Q: Explain red boats.\nA: «A boat that is red.»"
    (tmp_path / "out/template.json").write_text("{}")
    with pytest.raises(DataError, match="template.json cannot be read as a template"):
        preview(tmp_path / "out", 1)


@pytest.mark.skipif(not INSTRUCT.is_dir(), reason="the shared examples are not beside the checkout")
def test_all_shared_files_in_one_recipe(tmp_path: Path) -> None:
    wanted = section(INSTRUCT, on_bad_row="drop", augment={"instruction_variations": 1, "paraphrases": 1})
    facts = made(tmp_path / "out", wanted)
    files = {Path(file["recognised"]["source"]).name: file["rows"] for file in report(tmp_path / "out")["files"]}
    assert sum(files.values()) == 2260
    assert facts.dropped == {"empty answer": 1, "exactly equal to an earlier one": 20}
    assert sum(one.kind == "preference" and not one.variant_of for one in read_examples(tmp_path / "out")) == 198
    assert facts.splits["train"].variants > 800
