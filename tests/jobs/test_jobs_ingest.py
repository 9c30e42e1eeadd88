import json
import threading

import pytest
from sqlalchemy import select

from loquela.core.atomic import append_line
from loquela.jobs.event_log import EventLog
from loquela.jobs.ingest import EVENTS, METRICS, Ingester, points_of
from loquela.jobs.tables import metric_points
from loquela.monitoring.events import Event


@pytest.fixture
def ingester(database, clock):
    return Ingester(database, clock)


def points(database, key="loss"):
    query = select(metric_points.c.step, metric_points.c.value, metric_points.c.flag)
    with database.read() as connection:
        rows = connection.execute(query.where(metric_points.c.key == key).order_by(metric_points.c.step)).all()
    return [(row.step, row.flag if row.value is None else row.value) for row in rows]


def tell(folder, step, **metrics):
    append_line(folder / METRICS, json.dumps({"step": step, **metrics}))


def test_each_line_is_taken_once_and_half_a_line_later(database, ingester, tmp_path):
    assert ingester.take("r", "j", tmp_path) == 0
    tell(tmp_path, 1, loss=5.0)
    tell(tmp_path, 2, loss=4.0)
    with (tmp_path / METRICS).open("ab") as stream:
        stream.write(b'{"step": 3, "lo')
    assert ingester.take("r", "j", tmp_path) == 2
    assert ingester.take("r", "j", tmp_path) == 0
    with (tmp_path / METRICS).open("ab") as stream:
        stream.write(b'ss": 3.0}\n')
    assert ingester.take("r", "j", tmp_path) == 1
    assert points(database) == [(1, 5.0), (2, 4.0), (3, 3.0)]


def test_what_is_no_number_keeps_its_name(database, ingester, tmp_path):
    tell(tmp_path, 1, loss=None, gradient_norm=None, not_finite={"loss": "nan", "gradient_norm": "-inf"})
    ingester.take("r", "j", tmp_path)
    assert points(database) == [(1, "NaN")]
    assert points(database, "gradient_norm") == [(1, "-Infinity")]


def test_steps_that_were_done_again_are_taken_again(database, ingester, tmp_path):
    for step in range(1, 6):
        tell(tmp_path, step, loss=10.0 - step)
    ingester.take("r", "j", tmp_path)
    kept = (tmp_path / METRICS).read_bytes().splitlines(keepends=True)[:3]
    (tmp_path / METRICS).write_bytes(b"".join(kept))
    tell(tmp_path, 4, loss=0.5)
    ingester.take("r", "j", tmp_path)
    assert points(database) == [(1, 9.0), (2, 8.0), (3, 7.0), (4, 0.5)]


def test_a_step_that_is_told_twice_has_both_metrics_and_the_last_value(database, ingester, tmp_path):
    tell(tmp_path, 1, loss=5.0)
    ingester.take("r", "j", tmp_path)
    tell(tmp_path, 1, validation_loss=6.0)
    tell(tmp_path, 1, validation_loss=6.5)
    ingester.take("r", "j", tmp_path)
    assert points(database) == [(1, 5.0)]
    assert points(database, "validation_loss") == [(1, 6.5)]


def test_runs_do_not_meet(database, ingester, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        tell(tmp_path / name, 1, loss=1.0)
        ingester.take(name, name, tmp_path / name)
    with database.read() as connection:
        assert len(connection.execute(select(metric_points)).all()) == 2


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"loss": 1.0}',
        b'{"step": "1", "loss": 1.0}',
        b'{"step": 1, "a": "b", "c": true}',
        b"\xff",
    ],
)
def test_lines_that_tell_nothing_are_passed(line):
    assert list(points_of(line)) == []


def test_events_of_a_run_are_told_once_without_the_frequent_ones(database, clock, ingester, tmp_path):
    made = [Event(name="pipeline.started.v1", data={"message": "hello"}), Event(name="data_loader.batch_loaded.v1")]
    for event in made:
        append_line(tmp_path / EVENTS, event.model_dump_json())
    append_line(tmp_path / EVENTS, "not an event")
    ingester.take("r", "j", tmp_path)
    append_line(tmp_path / EVENTS, made[0].model_dump_json())
    ingester.take("r", "j", tmp_path)
    found = EventLog(database, clock).after(0, run_id="r")
    assert [(event.name, event.message, event.job_id) for event in found] == [("pipeline.started.v1", "hello", "j")]
    assert found[0].id == made[0].id


def test_two_that_take_at_once_take_nothing_twice(database, clock, tmp_path):
    for step in range(400):
        tell(tmp_path, step, loss=float(step))
        append_line(tmp_path / EVENTS, Event(name="pipeline.note.v1", data={"step": step}).model_dump_json())
    Ingester(database, clock).take("r", "j", tmp_path / "nothing there")
    failures = []

    def work():
        try:
            Ingester(database, clock).take("r", "j", tmp_path)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    Ingester(database, clock).take("r", "j", tmp_path)
    assert points(database) == [(step, float(step)) for step in range(400)]
    assert len(EventLog(database, clock).after(0, run_id="r", limit=1000)) == 400
    # On PostgreSQL the very first place may be taken by two: one of them is told so, and tries again later.
    assert all("duplicate key" in str(error) for error in failures)


def test_lines_that_no_database_could_hold_are_passed_over(database, clock, ingester, tmp_path):
    for line in (
        '{"step": 9007199254740993, "loss": 1}', '{"step": -1, "loss": 1}', '{"step": 1' + "0" * 400 + ', "loss": 1}',
        '{"step": 1, "loss": 1' + "0" * 400 + "}", '{"step": 1, "' + "k" * 65 + '": 1}', '{"step": 1, "a\\u0000": 1}',
        "[" * 100_000, '{"step": 2, "loss": 4.0}',
    ):  # fmt: skip
        append_line(tmp_path / METRICS, line)
    for changes in ({"id": "i" * 65}, {"id": "a\0"}, {"name": "a" * 130 + ".v1"}, {"data": {"message": "a\0b"}}):
        append_line(tmp_path / EVENTS, Event(**{"name": "some.fact.v1", **changes}).model_dump_json())
    append_line(tmp_path / EVENTS, "[" * 100_000)
    ingester.take("r", "j", tmp_path)
    assert points(database) == [(2, 4.0)]
    assert [event.message for event in EventLog(database, clock).after(0, run_id="r")] == ["ab"]
