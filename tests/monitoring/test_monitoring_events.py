"""Events, trace points, logs, and the display that listens to them."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from loquela.monitoring.display import ProgressDisplay, clock, number
from loquela.monitoring.events import Event, EventBus, EventFile, trace
from loquela.monitoring.logs import RunLogs


def test_a_trace_point_reaches_every_listener(tmp_path: Path) -> None:
    bus = EventBus(run_id="r-1")
    seen: list[Event] = []
    bus.subscribe(seen.append)
    bus.subscribe(EventFile(tmp_path / "events.jsonl"))
    trace(bus, "DataLoader", "loader_initialized", rows=12)
    assert [event.name for event in seen] == ["data_loader.loader_initialized.v1"]
    stored = json.loads((tmp_path / "events.jsonl").read_text())
    assert stored["run_id"] == "r-1"
    assert stored["component"] == "DataLoader"
    assert stored["data"] == {"rows": 12}


def test_nobody_hears_after_unsubscribing() -> None:
    bus = EventBus()
    seen: list[Event] = []
    key = bus.subscribe(seen.append)
    bus.unsubscribe(key)
    bus.publish("notice.v1", {})
    assert seen == []


def test_an_event_without_a_version_is_refused() -> None:
    with pytest.raises(ValueError, match="String should match pattern"):
        EventBus().publish("notice", {})


def test_nan_survives_in_an_event() -> None:
    event = Event(name="a.v1", data={"loss": float("nan")})
    assert Event.model_validate_json(event.model_dump_json()).data["loss"] != 0
    assert "NaN" in event.model_dump_json()


def test_logs_file_events_by_kind(tmp_path: Path) -> None:
    logs = RunLogs(tmp_path)
    logs(Event(name="pipeline.started.v1", data={"a": 1}))
    logs(Event(name="training_orchestrator.step_complete.v1"))
    logs.log_llm_interaction("Engine", "generated", {"text": "niño"})
    system = [json.loads(line) for line in logs.system_path.read_text().splitlines()]
    assert [line["message"] for line in system] == ["pipeline.started.v1"]
    assert system[0]["context"] == {"a": 1}
    assert json.loads(logs.interaction_path.read_text())["data"] == {"text": "niño"}
    assert "pipeline.started.v1" in logs.last_lines()


def feed(display: ProgressDisplay) -> None:
    bus = EventBus()
    bus.subscribe(display)
    bus.publish("pipeline.started.v1", {"run_id": "demo-[1]", "directory": "/with space/x", "derived": []})
    bus.publish("pipeline.stage_started.v1", {"stage": "train"})
    for step in range(1, 4):
        bus.publish(
            "trainer.metrics.progress.v1",
            {"step": step, "steps_total": 4, "epoch": 1, "epochs": 1, "loss": 9.0 - step, "tokens_per_second": 12345.6,
             "eta_seconds": 61, "validation_loss": 7.5 if step == 3 else None},
        )  # fmt: skip


def test_plain_output_has_no_escape_codes() -> None:
    out = io.StringIO()
    with ProgressDisplay(Console(file=out, width=100)) as display:
        feed(display)
        display(Event(name="pipeline.stage_completed.v1", data={"stage": "train", "seconds": 3.2, "summary": "done"}))
    text = out.getvalue()
    assert "\x1b" not in text
    assert "run demo-[1]" in text
    assert "step 1/4  epoch 1/1  loss 8.0000  12 346 tokens/s  ETA 1:01" in text
    assert "✔ training" in text


def test_prepared_parts_are_counted() -> None:
    out = io.StringIO()
    with ProgressDisplay(Console(file=out, width=100)) as display:
        display(Event(name="pipeline.stage_started.v1", data={"stage": "ingest"}))
        display(Event(name="data.tasks_progress.v1", data={"done": 0, "total": 1}))
        display(Event(name="data.tasks_progress.v1", data={"done": 1200, "total": 3000}))
    assert out.getvalue() == "… corpus\n  1 200 of 3 000 parts\n"
    terminal = io.StringIO()
    with ProgressDisplay(Console(file=terminal, width=100, force_terminal=True)) as display:
        display(Event(name="pipeline.stage_started.v1", data={"stage": "prepare"}))
        display(Event(name="data.tasks_progress.v1", data={"done": 2, "total": 5}))
    assert "2 of 5 parts" in terminal.getvalue()


def test_a_comparison_says_how_far_which_side_is() -> None:
    out = io.StringIO()
    with ProgressDisplay(Console(file=out, width=100)) as display:
        display(Event(name="pipeline.stage_started.v1", data={"stage": "compare"}))
        data = {"side": "adapter", "what": "answers", "done": 8, "total": 100}
        display(Event(name="evaluation.comparison_progress.v1", data=data))
    assert out.getvalue() == "… base against adapter\n  adapter: answers, 8 of 100\n"


def test_what_the_machine_decided_is_shown_with_its_reason() -> None:
    out = io.StringIO()
    with ProgressDisplay(Console(file=out, width=100)) as display:
        plan = {"precision": "fp32", "threads": 2, "reasons": {"precision": "exact", "threads": "2 usable cores"}}
        display(Event(name="trainer.job.started.v1", data={"plan": plan}))
        display(Event(name="trainer.job.started.v1", data={}))
    assert out.getvalue() == "  compute.precision = fp32  exact\n  compute.threads = 2  2 usable cores\n"


def test_a_terminal_sees_bar_and_curve() -> None:
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True, color_system=None)
    with ProgressDisplay(console) as display:
        feed(display)
        console.print(display._lower())
    text = out.getvalue()
    assert "75%" in text
    assert "validation 7.5000" in text
    assert "┤" in text


def test_numbers_for_people() -> None:
    assert number(1234567) == "1 234 567"
    assert number(None) == "–"
    assert clock(3725) == "1:02:05"
    assert clock(-1) == "–"


def test_each_proof_is_shown_with_its_time() -> None:
    out = io.StringIO()
    with ProgressDisplay(Console(file=out, width=100, soft_wrap=True)) as display:
        for passed in (True, False):
            told = {"name": "packing_isolation", "passed": passed, "seconds": 1.25, "message": "3 rows [a] stay apart"}
            display(Event(name="finetune.proof.finished.v1", data=told))
    lines = out.getvalue().splitlines()
    assert lines[0].split() == ["✔", "packing", "isolation", "1.2", "s", "3", "rows", "[a]", "stay", "apart"]
    assert lines[1].lstrip().startswith("✘ packing isolation")
