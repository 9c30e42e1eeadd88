"""Two runs that fine-tuned: rows added and removed, metrics on shared rows, answers side by side."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from loquela.artifacts.examples import Example
from loquela.artifacts.manifest import read_manifest, write_manifest
from loquela.core.errors import DataError, ErrorCode
from loquela.evaluation.tuned.between_runs import compare_adapters
from loquela.evaluation.tuned.stage import compare
from loquela.runs.comparison import compare_runs
from loquela.runs.manifest import StageRecord, TrainingRunManifest
from toy_adapters import make_adapter
from toy_comparison import comparison_context, comparison_recipe, example, toy_examples, write_examples


def record(stage: str, directory: Path) -> StageRecord:
    digest = read_manifest(directory).digest
    return StageRecord(
        stage=stage, key="k", digest=digest, directory=str(directory), reused=False, seconds=0.0, facts={}, summary=""
    )


def make_run(directory: Path, examples: list[Example], size: float) -> Path:
    recipe = comparison_recipe(forgetting=False)
    folder = write_examples(directory / "examples", examples)
    context = comparison_context(directory, make_adapter(directory / "adapter", size=size), folder, recipe)
    result = compare(context)
    write_manifest(context.output, "comparison", facts=result.facts)
    manifest = TrainingRunManifest(
        run_id=directory.name, pipeline_id=uuid4(), recipe=recipe, seed=1, versions={}, hardware={}
    )
    manifest.stages = {"examples": record("examples", folder), "compare": record("compare", context.output)}
    manifest.save(directory)
    return directory


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    place = tmp_path_factory.mktemp("runs")
    rows = toy_examples()
    moved = rows[1].model_copy(update={"split": "train"})
    changed = [
        rows[0],
        moved,
        *rows[3:],
        example("What is new?", "The bridge."),
        example("And?", "More.", split="train"),
    ]
    return make_run(place / "first", rows, 0.3), make_run(place / "second", changed, 0.6)


def test_rows_added_removed_and_moved_are_counted(runs: tuple[Path, Path]) -> None:
    found = compare_runs(*runs).examples
    assert found is not None
    assert (found.same, found.moved) == (10, 1)
    assert found.added == {"test": 1, "train": 1}
    assert found.removed == {"test": 1}
    assert found.some_added == ["What is new?", "And?"]
    assert found.some_removed == ["Where does river 2 run?"]


def test_adapters_are_compared_on_the_rows_that_both_held_out(runs: tuple[Path, Path]) -> None:
    found = compare_runs(*runs).adapters
    assert found is not None
    assert (found.rows, found.rows_only_first, found.rows_only_second) == (8, 2, 1)
    by_name = {metric.name: metric for metric in found.metrics}
    assert by_name["loss"].rows == 8
    assert by_name["loss"].base.value != by_name["loss"].adapter.value
    assert by_name["exact_match"].rows == 7
    assert 0 < found.different <= 8
    pair = found.answers[0]
    assert pair.first != pair.second and pair.question


def test_a_run_against_itself_is_the_same(runs: tuple[Path, Path]) -> None:
    found = compare_runs(runs[0], runs[0])
    assert found.examples is not None and found.adapters is not None
    assert (found.examples.added, found.examples.removed, found.examples.moved) == ({}, {}, 0)
    assert found.adapters.different == 0
    assert all(metric.difference.value in (0.0, None) for metric in found.adapters.metrics)


def test_reading_a_comparison_changes_nothing(runs: tuple[Path, Path], tmp_path: Path) -> None:
    import shutil

    copied = shutil.copytree(runs[0] / "eval", tmp_path / "eval")
    with (copied / "losses.jsonl").open("a") as stream:
        stream.write('{"half')
    before = (copied / "losses.jsonl").read_bytes()
    with pytest.raises(DataError, match="losses.jsonl is missing or has a damaged line") as caught:
        compare_adapters(runs[1] / "eval", copied)
    assert caught.value.code is ErrorCode.CORRUPTION
    assert (copied / "losses.jsonl").read_bytes() == before


def test_what_is_gone_is_left_out(runs: tuple[Path, Path], tmp_path: Path) -> None:
    manifest = TrainingRunManifest.model_validate_json((runs[0] / "manifest.json").read_bytes())
    manifest.stages = {}
    (tmp_path / "bare").mkdir()
    manifest.save(tmp_path / "bare")
    found = compare_runs(runs[0], tmp_path / "bare")
    assert found.examples is None and found.adapters is None
