"""Which run is gone on with: newest first, never one of another name, another recipe or already replaced."""

import os
from pathlib import Path

import pytest

from loquela.core.errors import RecipeError
from loquela.recipe.schema import Recipe
from loquela.runs.manifest import TrainingRunManifest
from loquela.runs.resume import choose_run, same_settings
from loquela.runs.status import ORDER, Phase, PipelineStatus
from loquela.runs.store import RunStore


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "out put")


def recipe(**changes) -> Recipe:
    return Recipe.model_validate({"name": "demo", **changes})


def make(store: RunStore, age: int, phase: Phase, *, of: Recipe | None = None, checkpoints: bool = False) -> Path:
    """A run that was last touched `age` seconds ago."""
    of = of or recipe()
    directory = store.create(of.name)
    status = PipelineStatus(run_id=directory.name)
    for each in ORDER[1 : ORDER.index(phase) + 1]:
        status.advance(each)
    TrainingRunManifest(
        run_id=directory.name, pipeline_id=status.pipeline_id, recipe=of, seed=of.seed, versions={}, hardware={}
    ).save(directory)
    status.save(directory)
    if checkpoints:
        (directory / "checkpoints" / "00000004").mkdir(parents=True)
    stamp = 2_000_000_000 - age
    os.utime(directory / "status.json", (stamp, stamp))
    return directory


def test_auto_takes_the_newest_that_is_unfinished_or_the_same(store: RunStore) -> None:
    make(store, 30, Phase.MODEL_TRAINING)
    finished = make(store, 20, Phase.COMPLETE)
    make(store, 10, Phase.COMPLETE, of=recipe(train={"epochs": 3}))
    make(store, 0, Phase.MODEL_TRAINING, of=recipe(name="other"))
    assert choose_run(store, recipe(), "auto", None) == finished
    unfinished = make(store, 5, Phase.CORPUS_DOWNLOAD)
    assert choose_run(store, recipe(), "auto", None) == unfinished


def test_auto_does_not_train_again_for_another_evaluation(store: RunStore) -> None:
    run = make(store, 10, Phase.COMPLETE)
    for after in ({"prompts": ["Once"]}, {"tuned": {"rows": 7}}):
        assert choose_run(store, recipe(evaluate=after), "auto", None) == run
    assert choose_run(store, recipe(seed=3), "auto", None) is None


def test_auto_without_a_candidate_is_a_new_run(store: RunStore) -> None:
    assert choose_run(store, recipe(), "auto", None) is None
    make(store, 10, Phase.COMPLETE, of=recipe(train={"epochs": 3}))
    assert choose_run(store, recipe(), "auto", None) is None


def test_a_replaced_run_is_not_gone_back_to(store: RunStore) -> None:
    old = make(store, 10, Phase.MODEL_TRAINING, checkpoints=True)
    status = PipelineStatus.model_validate_json((old / "status.json").read_bytes())
    status.replaced_by = "demo-new"
    status.save(old)
    assert choose_run(store, recipe(), "auto", None) is None
    assert choose_run(store, recipe(), "ask", lambda question: True) is None
    assert choose_run(store, recipe(), old.name, None) == old  # named, it may be


def test_the_question_is_asked_only_where_there_is_something_to_go_on_with(store: RunStore) -> None:
    asked: list[str] = []

    def yes(question: str) -> bool:
        asked.append(question)
        return True

    make(store, 20, Phase.COMPLETE, checkpoints=True)
    make(store, 10, Phase.TOKENIZER_TRAINING)
    assert choose_run(store, recipe(), "ask", yes) is None
    assert asked == []
    run = make(store, 5, Phase.MODEL_TRAINING, checkpoints=True)
    assert choose_run(store, recipe(), "ask", yes) == run
    assert asked == [f"{run.name} was not finished and has checkpoints. Go on with it?"]
    assert choose_run(store, recipe(), "ask", lambda question: False) is None
    assert choose_run(store, recipe(), "ask", None) is None
    assert choose_run(store, recipe(), "never", yes) is None
    assert choose_run(store, recipe(resume_from_checkpoint=True), "ask", None) == run


def test_an_unknown_id_names_the_nearest(store: RunStore) -> None:
    run = make(store, 0, Phase.COMPLETE)
    with pytest.raises(RecipeError, match=f"did you mean '{run.name}'"):
        choose_run(store, recipe(), run.name[:-1] + "z", None)


def test_settings_that_no_stage_depends_on_do_not_count() -> None:
    assert same_settings(recipe(), recipe(data={"timeout_seconds": 99}, resume_from_checkpoint=True))
    assert not same_settings(recipe(), recipe(train={"epochs": 3}))
    assert not same_settings(recipe(), recipe(seed=1))


def test_a_damaged_status_is_passed_over(store: RunStore) -> None:
    run = make(store, 10, Phase.MODEL_TRAINING)
    broken = make(store, 0, Phase.MODEL_TRAINING)
    (broken / "status.json").write_text("{")
    assert choose_run(store, recipe(), "auto", None) == run
