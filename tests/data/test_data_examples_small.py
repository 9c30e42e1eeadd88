"""Small sets still hold something out, whole; nothing depends on where files lie; the remedy names the right key."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loquela.artifacts.corpus import Split
from loquela.artifacts.examples import Example, ExampleLineage, ExamplesWriter, Message, read_examples, with_id
from loquela.artifacts.examples_facts import read_split_facts
from loquela.artifacts.manifest import write_manifest
from loquela.artifacts.nothing_held_out import why_nothing_held_out
from loquela.core.errors import DataError
from loquela.data.corpus.strata import names_without_places
from loquela.data.examples.build import Materials, build_examples
from loquela.data.examples.preview import told
from loquela.data.examples.split import Head, draw_splits
from loquela.data.examples.templates.manager import close, open_template
from loquela.finetuning.training.rows import open_rows
from loquela.recipe.examples_section import ExamplesSection


def drawn(heads: list[Head], **keys: object) -> list[Split]:
    section = ExamplesSection.model_validate({"sources": ["rows.jsonl"], **keys})
    return draw_splits(heads, lambda number: "", section)[0]


def made(directory: Path, sources: list[Path], generated: Path | None = None, **keys: object) -> Path:
    section = ExamplesSection.model_validate({"sources": [str(path) for path in sources], **keys})
    directory.mkdir()
    template = open_template(section)
    try:
        build_examples(Materials(section, template, generated=generated), directory)
    finally:
        close(template)
    return directory


def generated(directory: Path, documents: list[tuple[str, str]]) -> Path:
    """A question on each (document, chunk), all learnt from."""
    directory.mkdir()
    with ExamplesWriter(directory) as writer:
        for document, chunk in documents:
            turns = [Message(role="user", content=f"What of {chunk}?"), Message(role="assistant", content="That.")]
            lineage = ExampleLineage(source=document, document=chunk)
            writer.write(with_id(Example(id="", kind="messages", messages=turns, lineage=lineage, group=document)))
    return directory


@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=6), seed=st.integers(0, 99), test=st.booleans())
@example(sizes=[1, 1], seed=82, test=True)  # chance gives one group to the test, and none is left for the validation
@settings(max_examples=300, deadline=None)
def test_one_whole_group_is_held_out_wherever_there_are_two(sizes: list[int], seed: int, test: bool) -> None:
    heads = [
        Head("rows", (f"question {group} {number}",), group=f"group {group}")
        for group, size in enumerate(sizes)
        for number in range(size)
    ]
    found = drawn(heads, seed=seed, test_fraction=0.05 if test else 0.0)
    sides = {head.group: {split for other, split in zip(heads, found, strict=True) if other.group == head.group}
             for head in heads}  # fmt: skip
    assert all(len(of_group) == 1 for of_group in sides.values())
    assert "train" in found
    assert ("validation" in found) == (len(sizes) > 1)
    assert ("test" in found) == (test and len(sizes) > 2)


def test_the_group_nearest_to_the_share_goes() -> None:
    heads = [Head("rows", (f"q{number}",), group=f"g{number // 12}") for number in range(24)]
    heads += [Head("rows", (f"r{number}",), group="small") for number in range(11)]
    assert drawn(heads, validation_fraction=0.01).count("validation") == 11


def test_questions_of_learnt_passages_alone_give_one_text_up_and_of_one_text_one_passage(tmp_path: Path) -> None:
    books = generated(tmp_path / "books", [("a.md", f"a{n // 2}") for n in range(8)] + [("b.md", "b0"), ("b.md", "b1")])
    held = read_examples(made(tmp_path / "out", [], books), "validation")
    assert [example.lineage.document for example in held] == ["b0", "b1"]
    book = generated(tmp_path / "book", [("a.md", "a0"), ("a.md", "a1"), ("a.md", "a2")])
    folder = made(tmp_path / "one", [], book)
    facts = read_split_facts(folder)
    assert facts is not None
    assert (facts.drawn, facts.moved_to_fill_a_split) == ({"train": 2, "validation": 1, "test": 0}, 1)
    change = json.loads((folder / "ledger.json").read_text())["arrows"][-1]["changes"][0]
    assert change["reason"] == "held out with its whole group, or a wanted split would be empty"
    assert (change["items"], change["touched"]) == (0, 1)
    assert any("held out: 1 with their whole group" in line for line in told(folder))


def test_a_test_split_that_came_along_does_not_stand_for_validation() -> None:
    heads = [Head("a", (f"q{number}",), given="test" if number < 2 else "train", group="a") for number in range(6)]
    assert sorted(drawn(heads)) == ["test", "test", "train", "train", "train", "validation"]


def test_the_reason_and_the_key_are_those_of_the_recipe(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "a", "completion": "c"}\n')
    same = made(tmp_path / "same", [rows])
    with pytest.raises(DataError, match="no rows in the split validation: they all belong together") as caught:
        open_rows(same, "validation", vocab_size=9, context=9)
    assert "a second document or question" in caught.value.remedy
    rows.write_text("".join(json.dumps({"prompt": f"a{n}", "completion": "b"}) + "\n" for n in range(4)))
    none = made(tmp_path / "none", [rows], validation_fraction=0)
    assert why_nothing_held_out(none)[1] == "set examples.validation_fraction above 0"
    write_manifest(none, "examples", parents={"qa": "0" * 64})
    assert why_nothing_held_out(none) == (
        "data.validation_fraction left nothing for it",
        "set data.validation_fraction above 0",
    )
    assert why_nothing_held_out(none, "test")[1] == "set data.test_fraction above 0"
    facts = json.loads((none / "report.json").read_text())
    facts["split"]["drawn"]["validation"] = 3
    (none / "report.json").write_text(json.dumps(facts))
    why, remedy = why_nothing_held_out(none)
    assert "all 3 that were held out were left out later" in why
    assert "raise examples.max_tokens" in remedy
    (none / "report.json").write_text("{}")
    with pytest.raises(DataError, match=r"report\.json cannot be read"):
        why_nothing_held_out(none)


def test_the_same_files_in_another_folder_are_split_the_same(tmp_path: Path) -> None:
    first = tmp_path / "here"
    for name in ("a/rows.jsonl", "b/rows.jsonl", "more.jsonl"):
        path = first / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps({"prompt": f"{name} {n}", "completion": "x"}) + "\n" for n in range(40)))
    second = tmp_path / "there/deep"
    shutil.copytree(first, second)

    def held(folder: Path, sources: list[Path]) -> list[str | None]:
        return [example.prompt for example in read_examples(made(folder, sources), "validation")]

    names = ("a/rows.jsonl", "b/rows.jsonl", "more.jsonl")
    one = held(tmp_path / "one", [first / name for name in names])
    assert one == held(tmp_path / "two", [second / name for name in names])
    assert one == held(tmp_path / "three", [second])
    assert 4 <= len(one) <= 9


def test_names_are_as_short_as_tells_them_apart() -> None:
    names = ["/d/a/rows.jsonl", "/d/b/rows.jsonl", "./x.csv", "builtin:stories", "https://h/p/q", "file:/d/one.txt",
             "glob:/d/*/y.txt", "hf:org/set", "/rows.jsonl", "folder:texts/"]  # fmt: skip
    assert names_without_places(names) == {
        "/d/a/rows.jsonl": "a/rows.jsonl",
        "/d/b/rows.jsonl": "b/rows.jsonl",
        "./x.csv": "x.csv",
        "builtin:stories": "builtin:stories",
        "https://h/p/q": "https://h/p/q",
        "file:/d/one.txt": "one.txt",
        "glob:/d/*/y.txt": "y.txt",
        "hf:org/set": "hf:org/set",
        "/rows.jsonl": "rows.jsonl",
        "folder:texts/": "texts",
    }
