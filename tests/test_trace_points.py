"""A tiny real run tells every trace point of every component on its path."""

from __future__ import annotations

import json
import math

import pytest

import loquela
import seed_text
from loquela.api import Run
from loquela.core.errors import ErrorCode, ProofError
from loquela.recipe.schema import Recipe
from loquela.runs.status import Phase
from test_seed_contracts import TRAINING_PATH

TINY = {
    "name": "traced",
    "data": {"sources": ["builtin:stories"], "stories": 20},
    "tokenizer": {"method": "char", "vocab_size": 100},
    "model": {"num_layers": 1, "d_model": 16, "num_heads": 2, "dim_feedforward": 16, "max_sequence_length": 16},
    "train": {
        "max_steps": 2,
        "batch_size": 4,
        "gradient_accumulation_steps": 1,
        "log_every_steps": 1,
        "checkpoint_every_steps": 2,
        "gradient_clip_norm": 1e-3,
    },
    "evaluate": {
        "prompts": ["Once"],
        "sample_tokens": 2,
        "budgets": {"latency_p95_ms": 1e5, "tokens_per_second": 1e-3, "rss_mb": 1e5, "peak_mb": 1e5},
    },
    "compute": {"device": "cpu", "threads": 1, "loader_workers": 1},
}


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("traced")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        return loquela.run(Recipe.model_validate({**TINY, "output_directory": str(folder / "out")}), quiet=True)


@pytest.fixture(scope="module")
def told(traced: Run) -> list[dict]:
    lines = (traced.directory / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.skipif(not seed_text.seed("000"), reason="the specification is not beside the checkout")
def test_every_trace_point_of_the_path_is_told(told: list[dict]) -> None:
    names = {(event["component"], event["name"].split(".")[1]) for event in told}
    wanted = {
        (part.name, point)
        for part in seed_text.components(seed_text.seed("000"))
        if part.name in ("DataSourceConnector", *TRAINING_PATH)
        for point in part.trace_points
    }
    assert len(wanted) == 37
    assert wanted - names == set()


def test_components_speak_in_the_order_of_the_flow(told: list[dict]) -> None:
    components = [event["component"] for event in told]
    flow = ["DataPreprocessor", "ComputeResourceManager", "ModelInitializer", "LossCalculator", "GradientComputer",
            "OptimizerStep", "ModelCheckpointer", "ValidationRunner"]  # fmt: skip
    first = [components.index(name) for name in flow if name != "ModelCheckpointer"]
    assert first == sorted(first)
    assert components.index("ModelCheckpointer") > components.index("ModelInitializer")


def test_frequent_points_are_told_once_a_logged_step(told: list[dict]) -> None:
    for name in (
        "data_loader.batch_loaded.v1",
        "gradient_computer.gradients_clipped.v1",
        "loss_calculator.loss_computed.v1",
    ):
        assert sum(event["name"] == name for event in told) == 2, name


def test_every_event_names_its_run_and_time(told: list[dict]) -> None:
    assert len({event["run_id"] for event in told}) == 1
    assert all(event["time"].endswith("Z") for event in told)
    assert len({event["id"] for event in told}) == len(told)


def test_the_manifest_sums_up_the_evaluation(traced: Run) -> None:
    """What `runs show` and `runs diff` look at: the loss of the served model by every name it goes by."""
    report = json.loads((traced.directory / "eval" / "metrics.json").read_text(encoding="utf-8"))
    summary = traced.manifest.metrics_summary
    assert summary["evaluation_loss"] == report["validation"]["loss"]
    assert summary["perplexity"] == pytest.approx(math.exp(report["validation"]["loss"]))
    for name in ("bits_per_byte", "accuracy", "f1_score"):
        assert summary[name] == report["validation"][name]
    assert summary["seed"] == traced.manifest.seed == report["seed"]


def test_missed_budgets_fail_the_run_and_keep_the_model(told: list[dict], traced: Run) -> None:
    settings = {**TINY, "output_directory": str(traced.directory.parents[1])}
    settings["evaluate"] = {**TINY["evaluate"], "budgets": {"rss_mb": 1.0}}
    with pytest.raises(ProofError, match="the trained model misses its inference budgets, see") as caught:
        loquela.run(Recipe.model_validate(settings), resume=str(traced.directory), quiet=True)
    assert caught.value.code == ErrorCode.PERFORMANCE_BELOW_THRESHOLD
    assert traced.status.current_phase == Phase.FAILED
    details = traced.status.error_details
    assert details is not None
    assert (details.failed_phase, details.error_type) == (Phase.VALIDATION, "validation_failure")
    assert traced.manifest.failure_class == "FATAL"
    assert "misses its inference budgets" in str(traced.manifest.last_error)
    assert (traced.directory / "final" / "model.safetensors").is_file()
