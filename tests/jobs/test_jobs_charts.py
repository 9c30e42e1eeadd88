import json
import math
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from loquela.core.atomic import append_line
from loquela.jobs import charts as charts_module
from loquela.jobs.charts import READ_WHOLE, Charts, _thinned
from loquela.jobs.ingest import METRICS, Ingester
from loquela.jobs.rollups import ROLLUP_STEPS, roll_up
from loquela.jobs.tables import metric_points


def fill(database, values, run="r", key="loss"):
    rows = [
        {"run_id": run, "key": key, "step": step, "at": 0.0, "value": value, "flag": None} for step, value in values
    ]
    with database.write() as connection:
        connection.execute(insert(metric_points), rows)
        roll_up(connection, run, [(key, step) for step, _ in values])


@pytest.fixture
def long(database):
    fill(database, [(step, math.sin(step / 5) * step) for step in range(900)])
    return database


def test_few_points_are_all_there(database):
    fill(database, [(step, float(step)) for step in range(10)])
    series = Charts(database).series("r", "loss", most=10)
    assert series.exact
    assert [(point.step, point.value) for point in series.points] == [(step, float(step)) for step in range(10)]


def test_many_points_keep_their_ends_and_every_extreme_of_the_whole(database):
    values = [(step, math.sin(step / 50)) for step in range(20_000)]
    values[7_777] = (7_777, 99.0)
    values[13_131] = (13_131, -99.0)
    fill(database, values)
    series = Charts(database).series("r", "loss", most=200)
    found = {point.step: point.value for point in series.points}
    assert (series.exact, series.points_total) == (False, 20_000)
    assert len(found) <= 202
    assert found[7_777] == 99.0
    assert found[13_131] == -99.0
    assert {0, 19_999} <= set(found)
    assert [point.step for point in series.points] == sorted(found)
    assert Charts(database).series("r", "loss", most=200) == series


def test_a_stretch_is_cut_at_its_own_ends(database):
    fill(database, [(step, float(step)) for step in range(5_000)])
    series = Charts(database).series("r", "loss", most=50, first_step=1_000, last_step=3_999)
    assert series.points[0].step == 1_000
    assert series.points[-1].step == 3_999
    few = Charts(database).series("r", "loss", most=2_000, first_step=4_990, last_step=4_999)
    assert [point.step for point in few.points] == list(range(4_990, 5_000))


def test_steps_that_are_taken_again_change_the_chart(database, clock, tmp_path):
    ingester = Ingester(database, clock)
    for step in range(3 * ROLLUP_STEPS):
        append_line(tmp_path / METRICS, json.dumps({"step": step, "loss": 1.0}))
    ingester.take("r", "j", tmp_path)
    kept = (tmp_path / METRICS).read_bytes().splitlines(keepends=True)[: ROLLUP_STEPS + 10]
    (tmp_path / METRICS).write_bytes(b"".join(kept))
    append_line(
        tmp_path / METRICS, json.dumps({"step": ROLLUP_STEPS + 10, "loss": None, "not_finite": {"loss": "inf"}})
    )
    ingester.take("r", "j", tmp_path)
    series = Charts(database).series("r", "loss", most=10_000)
    assert series.points_total == ROLLUP_STEPS + 11
    assert len(series.points) == ROLLUP_STEPS + 10
    assert [(point.step, point.flag) for point in series.flagged] == [(ROLLUP_STEPS + 10, "Infinity")]
    assert Charts(database).keys("r") == ["loss"]


def test_a_metric_that_is_not_there_has_no_points(database):
    series = Charts(database).series("r", "nothing")
    assert (series.points, series.points_total, series.exact) == ([], 0, True)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.integers(4, 40))
def test_thinning_keeps_ends_and_extremes_and_no_more_than_asked(values, most):
    points = list(enumerate(values))
    kept = _thinned(points, most)
    assert len(kept) <= max(most, 4) + 2
    assert kept[0] == points[0]
    assert kept[-1] == points[-1]
    assert min(value for _, value in kept) == min(values)
    assert max(value for _, value in kept) == max(values)
    assert [step for step, _ in kept] == sorted({step for step, _ in kept})


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 899), st.integers(0, 900), st.sampled_from([4, 7, 30, 400]), st.sampled_from([0, 1]))
def test_any_stretch_keeps_its_ends_extremes_and_order(long, first, length, most, read_whole):
    last = min(first + length, 899)
    values = {step: math.sin(step / 5) * step for step in range(first, last + 1)}
    with mock.patch.object(charts_module, "READ_WHOLE", read_whole and READ_WHOLE):
        series = Charts(long).series("r", "loss", most=most, first_step=first, last_step=last)
    found = [(point.step, point.value) for point in series.points]
    assert found == sorted(set(found))
    assert set(found) <= set(values.items())
    assert found[:1] + found[-1:] == list(values.items())[:1] + list(values.items())[-1:]
    assert {min(value for _, value in found), max(value for _, value in found)} == {
        min(values.values()), max(values.values())
    }  # fmt: skip


def test_numbers_that_are_none_are_told_wherever_they_are(database):
    steps = [3, 700, 701, 5 * ROLLUP_STEPS]
    rows = [
        {"run_id": "r", "key": "loss", "step": step, "at": 0.0, "value": None if step in steps else 1.0,
         "flag": "NaN" if step in steps else None}
        for step in range(6 * ROLLUP_STEPS)
    ]  # fmt: skip
    with database.write() as connection:
        connection.execute(insert(metric_points), rows)
        roll_up(connection, "r", [("loss", step) for step in range(6 * ROLLUP_STEPS)])
    of_all = Charts(database).series("r", "loss", most=40)
    assert [point.step for point in of_all.flagged] == steps
    some = Charts(database).series("r", "loss", most=40, first_step=4, last_step=700)
    assert [point.step for point in some.flagged] == [700]


@pytest.mark.slow
def test_a_million_points_read_thousands_of_rows(database):
    for start in range(0, 1_000_000, 100_000):
        fill(database, [(step, math.sin(step)) for step in range(start, start + 100_000)])
    charts = Charts(database)
    charts.series("r", "loss")
    series = charts.series("r", "loss")
    assert series.points_total == 1_000_000
    assert len(series.points) <= 1_002
