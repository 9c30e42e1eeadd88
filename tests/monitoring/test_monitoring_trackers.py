"""Experiment trackers: each with its real package, fed by the bus; and what becomes of one that fails or hangs."""

from __future__ import annotations

import json
import math
import struct
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from loquela.core.errors import ErrorCode, RecipeError, ResourceError
from loquela.core.registry import Registry
from loquela.monitoring.events import EventBus
from loquela.monitoring.tracking.contract import Outcome, TrackedRun, Tracker
from loquela.monitoring.tracking.delivery import FAILURES_IN_A_ROW, Delivery
from loquela.monitoring.tracking.listener import TrackerListener, read_tracking
from loquela.monitoring.tracking.registry import TRACKERS
from loquela.recipe.loading import load_recipe
from loquela.runs import tracking as run_tracking


def tracked(tmp_path: Path, run_id: str = "mine-1", **changes: object) -> TrackedRun:
    directory = tmp_path / "runs" / run_id
    directory.mkdir(parents=True, exist_ok=True)
    facts: dict[str, object] = {
        "run_id": run_id, "name": "mine", "directory": directory, "output_directory": tmp_path, "resumed": False,
        "settings": {"seed": 7, "train.epochs": 2, "data.sources": ["a.txt"]}, "project": "garden", "offline": True,
    }  # fmt: skip
    return TrackedRun.model_validate({**facts, **changes})


def begin(listener: TrackerListener) -> EventBus:
    bus = EventBus("mine-1")
    bus.subscribe(listener)
    bus.publish("pipeline.started.v1", {})
    return bus


def step(bus: EventBus, number: int, loss: float) -> None:
    data = {"step": number, "epoch": 1, "loss": loss, "learning_rate": 0.1, "validation_loss": None, "steps_total": 9}
    bus.publish("trainer.metrics.progress.v1", {**data, "trend": "stable", "eta_seconds": 3.0})


def a_run(bus: EventBus, *, first: int = 1, last: int = 3) -> None:
    for number in range(first, last + 1):
        step(bus, number, 1.0 / number)
    bus.publish("training_orchestrator.validated.v1", {"step": last, "epoch": 1, "validation_loss": 0.25})
    facts = {"validation": {"perplexity": 1.5, "name": "x"}, "passed": True}
    bus.publish("pipeline.stage_completed.v1", {"stage": "evaluate", "facts": facts, "seconds": 1.0})


def scalars(directory: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(directory), size_guidance={"scalars": 0, "tensors": 0})
    accumulator.Reload()
    return {
        tag: [(each.step, each.value) for each in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]
    }


def test_tensorboard_reads_what_was_told_and_steps_done_again_take_the_place_of_the_first(tmp_path: Path) -> None:
    run = tracked(tmp_path)
    bus = begin(TrackerListener({"tensorboard": TRACKERS.get("tensorboard")}, run))
    a_run(bus)
    step(bus, 4, 99.0)
    bus.publish("pipeline.interrupted.v1", {})
    again = begin(TrackerListener({"tensorboard": TRACKERS.get("tensorboard")}, tracked(tmp_path, resumed=True)))
    again.publish("trainer.job.started.v1", {"step": 3, "resumed": True})
    step(again, 4, 0.125)
    step(again, 5, math.nan)
    again.publish("pipeline.completed.v1", {})
    found = scalars(run.directory / "tensorboard")
    assert found["train/loss"][:4] == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3)), (4, 0.125)]
    assert found["train/loss"][4][0] == 5 and math.isnan(found["train/loss"][4][1])
    assert found["validation/loss"] == [(3, 0.25)]
    assert found["evaluate/validation.perplexity"] == [(3, 1.5)]
    assert set(found) == {
        "train/loss", "train/learning_rate", "train/epoch", "validation/loss", "evaluate/validation.perplexity"
    }  # fmt: skip
    (state,) = read_tracking(run.directory)
    assert state.complete and state.delivered == 4
    assert state.sentence() == f"tensorboard: 4 messages, tensorboard --logdir {run.directory / 'tensorboard'}"


def test_mlflow_keeps_a_run_in_its_own_database_and_goes_on_with_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    bus = begin(TrackerListener({"mlflow": TRACKERS.get("mlflow")}, tracked(tmp_path)))
    a_run(bus)
    bus.publish("pipeline.failed.v1", {})
    changed = {"seed": 8, "added.key": "x" * 7000}
    again = begin(TrackerListener({"mlflow": TRACKERS.get("mlflow")}, tracked(tmp_path, settings=changed)))
    again.publish("trainer.job.started.v1", {"step": 3})
    step(again, 4, 0.5)
    again.publish("pipeline.completed.v1", {})
    assert all(state.complete for state in read_tracking(tmp_path / "runs" / "mine-1"))

    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("garden")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED" and run.info.run_name == "mine-1"
    history = [(each.step, each.value) for each in client.get_metric_history(run.info.run_id, "train/loss")]
    assert history == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3)), (4, 0.5)]
    assert run.data.metrics["evaluate/validation.perplexity"] == 1.5
    assert run.data.params["seed"] == "7" and run.data.params["data.sources"] == '["a.txt"]'
    assert len(run.data.params["added.key"]) == 6000


def test_wandb_offline_writes_a_run_that_its_own_reader_understands(tmp_path: Path, monkeypatch) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT", "WANDB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    run = tracked(tmp_path)
    bus = begin(TrackerListener({"wandb": TRACKERS.get("wandb")}, run))
    a_run(bus)
    bus.publish("pipeline.completed.v1", {})
    (state,) = read_tracking(run.directory)
    assert state.complete, state
    assert state.place is not None and state.place.startswith("wandb sync ")

    from wandb.proto import wandb_internal_pb2

    (file,) = run.directory.glob("wandb/offline-run-*/run-mine-1.wandb")
    history, config = [], {}
    for raw in log_records(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(raw)
        if record.WhichOneof("record_type") == "history":
            row = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            history.append({name: value for name, value in row.items() if not name.startswith("_")})
        if record.WhichOneof("record_type") == "run":
            assert (record.run.run_id, record.run.project) == ("mine-1", "garden")
            config = {item.key: item.value_json for item in record.run.config.update}
    assert [(row["step"], row["train/loss"]) for row in history[:3]] == [
        (1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))
    ]  # fmt: skip
    assert history[3] == {"step": 3, "validation/loss": 0.25}
    assert config["seed"] == "7"


def log_records(stored: bytes) -> Iterator[bytes]:
    """The records of a .wandb file: a LevelDB log after a header of 7 bytes, in blocks of 32 KiB."""
    assert stored[:4] == b":W&B"
    place, parts = 7, b""
    while place < len(stored):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", stored, place)
        parts += stored[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


class Broken:
    """A tracker that raises wherever it is told to."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.logged = 0

    def check(self, run: TrackedRun) -> None:
        """Nothing."""

    def start(self, run: TrackedRun) -> str:
        if self.where == "start":
            raise ConnectionError("no way to the server")
        return "nowhere"

    def rewind(self, step: int) -> None:
        """Nothing."""

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        self.logged += 1
        if self.where == "log":
            raise ValueError("not today")

    def finish(self, outcome: Outcome) -> None:
        if self.where == "finish":
            raise OSError("the line is gone")


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("start", "broken: not opened, nothing tracked (ConnectionError: no way to the server)"),
        ("finish", "broken: 5 messages, 1 failed, 0 dropped, not closed in time (OSError: the line is gone)"),
    ],
)
def test_a_trackers_failure_is_counted_and_told_once(tmp_path: Path, where: str, sentence: str) -> None:
    run = tracked(tmp_path)
    bus = begin(TrackerListener({"broken": Broken(where)}, run))
    a_run(bus)
    bus.publish("pipeline.completed.v1", {})
    assert [state.sentence() for state in read_tracking(run.directory)] == [sentence]


def test_a_tracker_that_always_fails_is_left_alone_and_its_neighbour_loses_nothing(tmp_path: Path) -> None:
    run = tracked(tmp_path)
    broken, whole = Broken("log"), Broken("nowhere")
    bus = begin(TrackerListener({"broken": broken, "whole": whole}, run))
    for number in range(1, 51):
        step(bus, number, 1.0)
    bus.publish("pipeline.completed.v1", {})
    first, second = read_tracking(run.directory)
    assert broken.logged == FAILURES_IN_A_ROW == first.failed
    assert first.dropped == 50 - FAILURES_IN_A_ROW + 1
    assert first.first_error == "ValueError: not today"
    assert second.complete and whole.logged == 50


class Hanging(Broken):
    """A tracker whose server does not answer until `answer` is set."""

    def __init__(self) -> None:
        super().__init__("nowhere")
        self.answer = threading.Event()

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        self.answer.wait(60)


def test_a_tracker_that_hangs_neither_slows_the_training_nor_keeps_the_run_from_ending(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(Delivery.__init__, "__defaults__", (10,))
    run, hanging = tracked(tmp_path), Hanging()
    bus = begin(TrackerListener({"hanging": hanging}, run, finish_seconds=0.05))
    try:
        for number in range(1, 101):
            step(bus, number, 1.0)
        bus.publish("pipeline.completed.v1", {})
    finally:
        hanging.answer.set()
    (state,) = read_tracking(run.directory)
    assert not state.finished
    assert state.dropped >= 89
    assert state.sentence().startswith("hanging: 0 messages, 0 failed, ")
    assert state.sentence().endswith("dropped, not closed in time")


def test_wandb_without_a_key_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    recipe = load_recipe(None, {"track": ["wandb"]}).recipe
    with pytest.raises(ResourceError, match="no key for it is found") as caught:
        run_tracking.check_trackers(recipe)
    assert caught.value.code is ErrorCode.AUTH_FAILED
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password secret\n")
    (proof,) = run_tracking.check_trackers(recipe)
    assert proof.message == "wandb: installed and allowed"


def test_a_tracker_whose_package_is_missing_is_refused_with_the_install_line(monkeypatch) -> None:
    monkeypatch.setattr("loquela.monitoring.trackers.tensorboard.find_spec", lambda name: None)
    with pytest.raises(ResourceError, match="needs the package tensorboardX") as caught:
        run_tracking.check_trackers(load_recipe(None, {"track": ["tensorboard"]}).recipe)
    assert caught.value.remedy == 'pip install "loquela[tensorboard]"'


def test_nothing_may_leave_the_machine_and_mlflow_is_elsewhere() -> None:
    settings = {"track": ["mlflow"], "tracking.offline": True, "tracking.uri": "https://tracking.example.org"}
    with pytest.raises(ResourceError, match="keeps everything on this machine"):
        run_tracking.check_trackers(load_recipe(None, settings).recipe)


def test_an_unknown_tracker_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(RecipeError, match="did you mean 'tensorboard'"):
        load_recipe(None, {"track": ["tensorbord"]})


def test_a_trackers_address_may_not_hold_a_password() -> None:
    with pytest.raises(RecipeError, match="the address holds a password") as caught:
        load_recipe(None, {"track": ["mlflow"], "tracking.uri": "https://me:secret@tracking.example.org"})
    assert "me:secret" not in str(caught.value)


def test_a_tracker_of_another_package_is_called_by_its_name(monkeypatch) -> None:
    registry: Registry[Tracker] = Registry("tracker", "loquela.trackers")
    registry.register("stranger", f"{__name__}:stranger")
    assert isinstance(registry.get("stranger"), Broken)


def stranger() -> Broken:
    return Broken("nowhere")


def test_the_recipe_of_the_page_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "trackers.md").read_text(encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(page.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    recipe = load_recipe(tmp_path / "recipe.yaml").recipe
    assert (recipe.track, recipe.tracking.offline) == (["tensorboard", "wandb", "mlflow"], True)
