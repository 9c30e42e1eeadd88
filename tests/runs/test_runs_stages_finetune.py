"""Which stages a recipe that fine-tunes has, and which ones answer for those that it leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import JsonValue

from loquela.core.errors import ErrorCode, RecipeError
from loquela.recipe.loading import load_recipe
from loquela.recipe.schema import Recipe
from loquela.runs.prerequisites import required_disk_mb
from loquela.stages import last_stage, stage_for, stages_until, wanted_stages

TUNING: dict[str, JsonValue] = {"finetune": {"base": "a-base"}, "examples": {"sources": ["rows.jsonl"]}}


def recipe(**more: JsonValue) -> Recipe:
    return Recipe.model_validate({**TUNING, **more})


def names(last: str, made: Recipe) -> list[str]:
    return [stage.name for stage in stages_until(last, made)]


def test_nothing_is_read_or_trained_from_scratch() -> None:
    assert names("finetune", recipe()) == ["base", "examples", "finetune"]
    scratch = {"tokenizer", "prepare", "train", "evaluate", "export", "deploy_check", "ingest"}
    assert not scratch & {stage.name for stage in wanted_stages(recipe())}


def test_the_corpus_is_read_where_questions_are_made_from_it() -> None:
    assert names("finetune", recipe(qa={})) == ["base", "ingest", "qa", "examples", "finetune"]
    assert names("qa", recipe(qa={})) == ["ingest", "qa"]
    assert names("ingest", recipe()) == ["ingest"]


def test_examples_take_the_base_and_no_tokenizer_of_the_run() -> None:
    examples = stage_for("examples", recipe())
    assert examples.inputs_of(recipe()) == ("base",)
    scratch = Recipe.model_validate({"examples": {"sources": ["rows.jsonl"]}})
    assert examples.inputs_of(scratch) == ("tokenizer",)


def test_training_is_the_fine_tuning() -> None:
    assert stage_for("train", recipe()).name == "finetune"
    assert stage_for("train", Recipe()).name == "train"
    assert last_stage(Recipe()) == "evaluate"


def test_a_stage_that_the_recipe_leaves_out() -> None:
    with pytest.raises(RecipeError, match=r"this recipe does not export: it has no export\.targets") as caught:
        stage_for("export", recipe())
    assert caught.value.code is ErrorCode.CONFIG_INVALID
    with pytest.raises(RecipeError, match="this recipe does not finetune: it has no finetune"):
        stage_for("finetune", Recipe())


def test_rows_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("finetune: {base: somewhere}\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="finetune learns the rows of examples"):
        load_recipe(path)


def test_room_for_the_base_and_no_shards(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(bytes(3_000_000))
    tuned = recipe(finetune={"base": str(tmp_path)}, data={"corpus_size_mb": 500})
    assert required_disk_mb(tuned) == pytest.approx(106)
    assert required_disk_mb(tuned.model_copy(update={"qa": recipe(qa={}).qa})) == pytest.approx(606)
