"""The metrics collector: lines, averages, trend, NaN as a fact, torn and future lines, typed failures."""

import json
import math
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.core.errors import DataError, ErrorCode, ResourceError
from loquela.monitoring.contracts import MetricsCollectorRequest
from loquela.monitoring.events import EventBus
from loquela.monitoring.metrics import MetricsCollector, trend

TRAINING = uuid4()


def request(step, loss=1.0, **custom):
    metrics = {"loss": loss, "learning_rate": 0.1, "gradient_norm": 2.0, "custom_metrics": custom}
    return MetricsCollectorRequest(training_id=TRAINING, step=step, metrics=metrics)


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


def test_a_step_is_one_flat_line(path):
    result = MetricsCollector(path).collect(request(3, 1.5, tokens_per_second=120.5, **{"bits.per_byte": 2}))
    assert result.persisted
    assert result.aggregated_metrics.avg_loss_last_100 == 1.5
    expected = {"step": 3, "loss": 1.5, "learning_rate": 0.1, "gradient_norm": 2.0}
    assert lines(path) == [{**expected, "tokens_per_second": 120.5, "bits.per_byte": 2}]


def test_a_validation_has_no_loss_of_its_own(path):
    collector = MetricsCollector(path)
    metrics = {"custom_metrics": {"validation_loss": 3.0}}
    result = collector.collect(MetricsCollectorRequest(training_id=TRAINING, step=4, metrics=metrics))
    assert lines(path) == [{"step": 4, "validation_loss": 3.0}]
    assert math.isnan(result.aggregated_metrics.avg_loss_last_100)
    assert json.loads(result.model_dump_json())["persisted"] is True


def test_the_average_is_of_the_last_hundred(path):
    collector = MetricsCollector(path)
    for step in range(150):
        result = collector.collect(request(step, float(step)))
    assert result.aggregated_metrics.avg_loss_last_100 == sum(range(50, 150)) / 100


@pytest.mark.parametrize(("value", "written"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")])
def test_numbers_that_are_not_finite_stay_facts(path, value, written):
    collector = MetricsCollector(path)
    collector.collect(request(1, 2.0))
    result = collector.collect(request(2, value, extra=value))
    assert result.aggregated_metrics.avg_loss_last_100 == 2.0
    assert lines(path)[1]["loss"] is None
    assert lines(path)[1]["not_finite"] == {"loss": written, "extra": written}
    assert "NaN" not in path.read_text(encoding="utf-8")


def test_opening_again_goes_on_where_it_ended(path):
    first = MetricsCollector(path)
    for step in range(120):
        first.collect(request(step, 100.0 - step))
    again = MetricsCollector(path)
    assert again.aggregate() == first.aggregate()
    assert again.aggregate().trend == "improving"


def test_a_torn_last_line_is_dropped(path):
    collector = MetricsCollector(path)
    collector.collect(request(1))
    with path.open("a", encoding="utf-8") as stream:
        stream.write('{"step": 2, "lo')
    MetricsCollector(path).collect(request(2))
    assert [line["step"] for line in lines(path)] == [1, 2]


def test_a_whole_last_line_without_its_end_is_kept(path):
    path.write_text('{"step": 1, "loss": 5.0}', encoding="utf-8")
    MetricsCollector(path).collect(request(2))
    assert [line["step"] for line in lines(path)] == [1, 2]


def test_lines_of_the_future_are_dropped(path):
    collector = MetricsCollector(path)
    for step in (10, 20, 30, 40):
        collector.collect(request(step, float(step)))
    assert collector.truncate_after(20) == 2
    assert [line["step"] for line in lines(path)] == [10, 20]
    assert collector.aggregate().avg_loss_last_100 == 15.0
    before = path.stat().st_mtime_ns
    assert collector.truncate_after(20) == 0
    assert path.stat().st_mtime_ns == before
    assert collector.truncate_after(0) == 2
    assert path.read_text(encoding="utf-8") == ""


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(st.integers(0, 50), max_size=20), torn=st.text(max_size=15), cut=st.integers(0, 50))
def test_recovery_keeps_every_whole_line(tmp_path_factory, steps, torn, cut):
    path = tmp_path_factory.mktemp("metrics") / "metrics.jsonl"
    collector = MetricsCollector(path)
    for step in steps:
        collector.collect(request(step, float(step)))
    with path.open("a", encoding="utf-8") as stream:
        stream.write("{" + torn)
    recovered = MetricsCollector(path)
    recovered.truncate_after(cut)
    assert [line["step"] for line in lines(path)] == [step for step in steps if step <= cut]


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([], "stable"),
        ([5.0, 4.0, 3.0, 2.0, 1.0, 0.5, 0.4, 0.3, 0.2], "stable"),  # nine are too few
        ([5.0 - 0.01 * n for n in range(100)], "improving"),
        ([5.0 + 0.01 * n for n in range(100)], "degrading"),
        ([2.0] * 100, "stable"),
        ([2.0 + 0.3 * (-1) ** n for n in range(100)], "stable"),
        # Half means 2.0 and 2.0015: without noise, but less than a thousandth apart.
        ([2.0] * 50 + [2.0015] * 50, "stable"),
        ([2.0] * 50 + [2.003] * 50, "degrading"),
        # Half means differ by 0.04 under a noise of ±0.5: standard error 0.1.
        ([2.0 + 0.5 * (-1) ** n for n in range(50)] + [1.96 + 0.5 * (-1) ** n for n in range(50)], "stable"),
    ],
)
def test_trend(losses, expected):
    assert trend(losses) == expected


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("", 1.0, "metric '' cannot be recorded: the name must be"),
        ("a b", 1.0, "metric 'a b' cannot be recorded: the name must be"),
        ("step", 1.0, "metric 'step' cannot be recorded: .* not one of ours"),
        ("speed", "fast", "metric 'speed' cannot be recorded: its value is str, not a number"),
        ("speed", True, "its value is bool, not a number"),
        ("speed", None, "its value is NoneType, not a number"),
        ("speed", [1.0], "its value is list, not a number"),
    ],
)
def test_what_is_no_metric_is_refused_and_not_recorded(path, name, value, message):
    collector = MetricsCollector(path)
    with pytest.raises(DataError, match=message) as caught:
        bad = request(1)
        bad.metrics.custom_metrics = {name: value}
        collector.collect(bad)
    assert caught.value.code is ErrorCode.INVALID_METRIC
    assert caught.value.details == {"metric_name": name}
    assert not path.exists()
    assert math.isnan(collector.aggregate().avg_loss_last_100)


def test_a_line_that_cannot_be_written_is_typed(tmp_path):
    collector = MetricsCollector(tmp_path / "gone" / "metrics.jsonl")
    with pytest.raises(ResourceError, match="metrics cannot be recorded: writing .*metrics.jsonl failed") as caught:
        collector.collect(request(1))
    assert caught.value.code is ErrorCode.PERSISTENCE_FAILED
    assert caught.value.details == {"metric_name": "*", "cause": "WRITE_FAILED"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_stays_a_full_disk(path):
    collector = MetricsCollector(path)
    collector.path = Path("/dev/full")
    with pytest.raises(ResourceError, match="no space left") as caught:
        collector.collect(request(1))
    assert caught.value.code is ErrorCode.DISK_FULL


def test_a_file_that_cannot_be_read_is_typed(path):
    path.mkdir()
    with pytest.raises(ResourceError, match="metrics cannot be recorded: .*directory") as caught:
        MetricsCollector(path)
    assert caught.value.code is ErrorCode.PERSISTENCE_FAILED
    assert caught.value.details["cause"] == "IsADirectoryError"


def test_trace_points(path):
    bus, events = EventBus(), []
    bus.subscribe(events.append)
    MetricsCollector(path, bus).collect(request(1, math.nan))
    assert [event.name for event in events] == [
        "metrics_collector.metrics_received.v1",
        "metrics_collector.metrics_aggregated.v1",
        "metrics_collector.metrics_persisted.v1",
    ]
    assert events[1].data == {"step": 1, "avg_loss_last_100": None, "trend": "stable"}
