"""`loquela prepare-examples`: only what examples need is made, and what became of every row is said."""

import json
import re
from pathlib import Path

import pytest

from loquela.cli.main import answer
from loquela.recipe.examples_section import ExamplesSection
from loquela.recipe.qa_section import QaSection
from loquela.recipe.schema import Recipe
from loquela.stages import stage_named, stages_until


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    rows = [{"question": f"What is thing {number}?", "answer": f"It is {number}."} for number in range(40)]
    rows.append({"question": "And this?", "answer": ""})
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    # A vocabulary of single characters is enough to count with.
    letters = sorted({letter for row in rows for text in row.values() for letter in text} | set("<|im_startendusr>\n"))
    model = {"type": "BPE", "vocab": {letter: number for number, letter in enumerate(letters)}, "merges": []}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"version": "1.0", "model": model, "added_tokens": []}))
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"output_directory: {tmp_path}/out\nexamples:\n  sources: [{tmp_path}/rows.jsonl]\n  on_bad_row: drop\n"
        f"  tokenizer: {tmp_path}/tokenizer.json\n  max_tokens: 256\n  pack: true\n"
        "data: {sources: [/nowhere/at/all.txt]}\n"
    )
    return path


def test_rows_become_examples_and_the_corpus_is_left_alone(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(["prepare-examples", str(recipe), "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert "prompt_completion (prompt = question, completion = answer), the only format that fits" in shown
    assert "-1  empty answer" in shown
    assert "row 41 (line 41): empty answer" in shown
    # Which rows are for training, and so shown, depends on where the file lies.
    assert re.search(r"«It is \d+\.<\|im_end\|>»", shown)
    assert "--examples --rows 5" in shown
    assert answer(["prepare-examples", str(recipe), "--quiet", "--json", "--resume", "never"]) == 0
    stages = json.loads(capsys.readouterr().out)["manifest"]["stages"]
    assert list(stages) == ["examples"]
    assert stages["examples"]["reused"] is True
    assert stages["examples"]["facts"]["examples"] == 40


def test_examples_are_previewed(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(["prepare-examples", str(recipe), "--quiet", "--json"]) == 0
    run = json.loads(capsys.readouterr().out)["directory"]
    assert answer(["data", "preview", run, "--examples", "--rows", "2", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert len(rows) == 2
    assert rows[0]["text"][rows[0]["learnt"][0]["start"] :].startswith("It is")
    assert 0 < rows[0]["learnt_tokens"] < rows[0]["tokens"]


def test_a_recipe_without_examples_says_what_to_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"output_directory: {tmp_path}/out\n")
    assert answer(["prepare-examples", str(path), "--json"]) == 2
    assert "the recipe names no examples" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_stages_that_examples_need() -> None:
    def names(last: str, recipe: Recipe) -> list[str]:
        return [stage.name for stage in stages_until(last, recipe)]

    rows = ExamplesSection(sources=["a"])
    alone = Recipe(examples=rows.model_copy(update={"tokenizer": Path("t.json")}))
    assert names("examples", alone) == ["examples"]
    assert names("examples", Recipe(examples=rows)) == ["ingest", "tokenizer", "examples"]
    asked = Recipe(examples=alone.examples, qa=QaSection(provider="offline"))
    assert names("examples", asked) == ["ingest", "qa", "examples"]
    assert names("qa", asked) == ["ingest", "qa"]
    assert names("prepare", asked) == ["ingest", "qa", "tokenizer", "examples", "prepare"]
    assert names("prepare", Recipe()) == ["ingest", "tokenizer", "prepare"]
    assert stage_named("examples").inputs_of(asked) == ("qa",)
