"""Predictions by hand, and the comparison afterwards."""

from pathlib import Path

import pytest
from pydantic import JsonValue

from loquela.compute.plan import Plan
from loquela.finetuning.planning.gpus import Gpu, GpuTable
from loquela.finetuning.planning.plan import TuningPlan
from loquela.recipe.schema import Recipe
from loquela.runs.corpus_size import corpus_size
from loquela.runs.manifest import StageRecord, TrainingRunManifest
from loquela.runs.plan import (
    actual_against_plan,
    bytes_per_token,
    plan_run,
    step_seconds,
    steps_of,
)
from loquela.stages import PREFLIGHT, STAGES


def test_steps_count_the_last_smaller_batch() -> None:
    recipe = Recipe.model_validate({"train": {"epochs": 2, "batch_size": 4}, "model": {"max_sequence_length": 8}})
    # 8·4 = 32 tokens a step; 100 targets = 13 rows = 4 steps an epoch
    assert steps_of(recipe, 101) == 8
    recipe.train.gradient_accumulation_steps = 4
    assert steps_of(recipe, 101) == 2
    recipe.train.max_steps = 1
    assert steps_of(recipe, 101) == 1


def test_bytes_per_token_is_interpolated() -> None:
    assert bytes_per_token("bpe", 8000)[0] == pytest.approx(3.40)
    assert bytes_per_token("unigram", 100)[0] == pytest.approx(1.92)
    assert bytes_per_token("bpe", 10**6)[0] == pytest.approx(3.90)
    # 4000·√2: half way on the logarithm between 3.07 and 3.40
    assert bytes_per_token("bpe", 5657)[0] == pytest.approx(3.235, abs=1e-3)
    assert bytes_per_token("char", 300)[0] == pytest.approx(1.02)


def test_stories_have_longer_tokens_than_prose() -> None:
    value, said = bytes_per_token("bpe", 2000, stories=True)
    assert value == pytest.approx(3.24)
    assert said == "tokens: 3.24 bytes each, as measured on the stories"
    assert bytes_per_token("bpe", 2000)[0] == pytest.approx(2.71)


def test_a_plan_of_stories_takes_their_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loquela.compute.preflight.matrix_flops_per_second", lambda recipe: 400e9)
    stories = {
        "data": {"sources": ["builtin:stories"], "stories": 4000},
        "tokenizer": {"vocab_size": 2000},
        "compute": {"threads": 2},
    }
    plan = plan_run(Recipe.model_validate(stories))
    # 4000 pairs × 1958 bytes × 95 % / 3.24; the demo's run counted 2 305 248
    assert plan.train_tokens == 2_296_420
    assert plan.tokens_per_second == pytest.approx(4096 / 0.090593, rel=1e-4)
    # 17 941 rows of 128 = 561 steps of 32 an epoch
    assert plan.steps_total == 561 * 20
    assert "tokens: 3.24 bytes each, as measured on the stories" in plan.assumptions


def test_step_seconds_of_the_reference_by_hand() -> None:
    # products 4096 × 8 110 080 / (0.83 × 400e9)      = 0.100057
    # width    4096 × 72e-9 / 2 × 2 × 128             = 0.037749
    # softmax  4096 × 0.4e-9 / 2 × 8000               = 0.006554
    # overhead 0.006 + 2 × 0.001                      = 0.008
    assert step_seconds(Recipe(), 400e9, 2) == pytest.approx(0.152359, abs=1e-6)
    # Measured: 25 200 to 28 500 tokens/s, and 43 200 to 47 000 with a vocabulary of 2000.
    assert 25_200 < 4096 / step_seconds(Recipe(), 400e9, 2) < 28_500
    assert 43_200 < 4096 / step_seconds(recipe_of({"tokenizer": {"vocab_size": 2000}}), 400e9, 2) < 47_000


def test_step_seconds_follow_the_machine_and_the_share_of_a_process() -> None:
    # One thread has half the speed: everything but the 8 ms takes twice as long.
    assert step_seconds(Recipe(), 200e9, 1) == pytest.approx(2 * 0.144359 + 0.008, abs=2e-6)
    # Slower products leave the passes over memory as they were.
    assert step_seconds(Recipe(), 200e9, 2) == pytest.approx(2 * 0.100057 + 0.044303 + 0.008, abs=2e-6)
    # Two processes have 16 rows each; four micro-batches cost their layers' dispatch four times.
    assert step_seconds(recipe_of({"compute": {"processes": 2}}), 400e9, 2) == pytest.approx(0.08018, abs=1e-6)
    four = recipe_of({"train": {"gradient_accumulation_steps": 4}})
    assert step_seconds(four, 400e9, 2) == pytest.approx(4 * 0.144359 + 0.006 + 4 * 0.002, abs=4e-6)


def test_steps_of_a_tiny_model_are_overhead() -> None:
    shape: dict[str, JsonValue] = {
        "num_layers": 1, "d_model": 32, "num_heads": 2, "dim_feedforward": 64, "max_sequence_length": 32
    }  # fmt: skip
    tiny = recipe_of({"model": shape, "tokenizer": {"vocab_size": 400}, "train": {"batch_size": 8}})
    assert 0.007 < step_seconds(tiny, 400e9, 2) < 0.008


def recipe_of(settings: dict[str, JsonValue]) -> Recipe:
    return Recipe.model_validate(settings)


def test_memory_is_compared_with_the_peak_of_training() -> None:
    plan = Plan(
        parameters=10, flops_per_token=60, corpus_mb=1, train_tokens=0, steps_total=4, tokens_total=9, disk_mb=1,
        memory_mb={"total": 400.0}, tokens_per_second=5, training_minutes=2,
    )  # fmt: skip
    facts = {"parameters": 10, "steps_total": 5, "peak_memory_mb": 500.0, "seconds": 60.0}
    record = StageRecord.model_construct(facts=facts)
    rows = actual_against_plan(plan, TrainingRunManifest.model_construct(stages={"train": record}))
    assert rows == [
        {"what": "parameters", "predicted": 10, "actual": 10, "ratio": 1.0},
        {"what": "steps_total", "predicted": 4, "actual": 5, "ratio": 1.25},
        {"what": "training_minutes", "predicted": 2.0, "actual": 1.0, "ratio": 0.5},
        {"what": "peak_memory_mb", "predicted": 400.0, "actual": 500.0, "ratio": 1.25},
    ]


def test_local_sources_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x" * 1000)
    recipe = Recipe.model_validate({"data": {"sources": [str(tmp_path / "a.txt"), str(tmp_path)]}})
    assert corpus_size(recipe)[0] == 2000
    assert corpus_size(Recipe())[0] == 8e6
    assert "corpus_size_mb" in corpus_size(Recipe())[1]


def test_every_entry_of_the_tables_resolves() -> None:
    from loquela.core.entry import resolve

    entries = [*PREFLIGHT, *(stage.entry for stage in STAGES), *(s.fingerprint for s in STAGES if s.fingerprint)]
    for entry in entries:
        function: object = resolve(entry)
        assert callable(function), entry


def test_a_fine_tuning_is_compared_with_its_own_stage() -> None:
    table = GpuTable(what="none", gpus=[Gpu(name="X", device="X", memory_gb=1, usd_per_hour=1, source="", read_on="")])
    plan = TuningPlan(
        parameters=100, flops_per_token=60, corpus_mb=1, train_tokens=50, steps_total=4, tokens_total=9, disk_mb=1,
        memory_mb={"total": 400.0}, tokens_per_second=5, training_minutes=2, base="b", trained_parameters=8, rows=3,
        trained_tokens=20, longest_row=9, effective_batch=2, device="cpu", gpus=[], gpu_table=table, cheapest=None,
    )  # fmt: skip
    facts = {"parameters": 100, "trained_parameters": 8, "steps_total": 4, "peak_memory_mb": 300.0, "seconds": 240.0}
    record = StageRecord.model_construct(facts=facts)
    rows = actual_against_plan(plan, TrainingRunManifest.model_construct(stages={"finetune": record}))
    assert isinstance(rows, list)
    found = {row["what"]: row["ratio"] for row in rows if isinstance(row, dict)}
    assert found == {
        "trained_parameters": 1.0, "parameters": 1.0, "steps_total": 1.0, "training_minutes": 2.0,
        "peak_memory_mb": 0.75,
    }  # fmt: skip


def test_a_base_that_is_not_known_yet_stops_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    recipe = recipe_of({"finetune": {"base": "nobody/nothing"}, "examples": {"sources": ["rows.jsonl"]}})
    assert plan_run(recipe) is None
