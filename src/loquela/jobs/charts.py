"""A metric for a chart: every point where they are few, else the lowest and highest of every stretch. Never a sample.

The same points always give the same chart, and no extreme is ever left out; what was no number is told apart.
"""

from __future__ import annotations

from operator import itemgetter
from typing import NamedTuple

from sqlalchemy import Connection, Select, select

from loquela.core.model import BoundaryModel
from loquela.jobs.changes import find_job
from loquela.jobs.database import Database
from loquela.jobs.projects import InProject
from loquela.jobs.rollups import ROLLUP_STEPS
from loquela.jobs.tables import metric_points, metric_rollups

MOST_FLAGS = 1000
# So many stretches are still read point by point, where their extremes alone would show steps and not a curve.
READ_WHOLE = 160
# A step and its value: thousands of them are gone through before a few are shown.
Point = tuple[int, float]
_value = itemgetter(1)


class ChartPoint(BoundaryModel):
    """One value."""

    step: int
    value: float


class FlaggedPoint(BoundaryModel):
    """A step whose value was no number: NaN, Infinity or -Infinity."""

    step: int
    flag: str


class Series(BoundaryModel):
    """One metric of one run; `exact` where every point is there."""

    key: str
    points_total: int
    exact: bool
    points: list[ChartPoint]
    flagged: list[FlaggedPoint]


class Charts(InProject):
    """Reads; never writes. RecipeError(RUN_NOT_FOUND) for a run that the caller's project has not."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keys(self, run_id: str) -> list[str]:
        """The metrics that a run has told, by name."""
        self._check(run_id)
        query = select(metric_rollups.c.key).where(metric_rollups.c.run_id == run_id).distinct()
        with self._database.read() as connection:
            return sorted(str(row.key) for row in connection.execute(query))

    def _check(self, run_id: str) -> None:
        """Numbers have no project of their own: theirs is their run's."""
        if self._project is not None:
            with self._database.read() as connection:
                find_job(connection, run_id, self._project)

    def series(
        self, run_id: str, key: str, *, most: int = 1000, first_step: int = 0, last_step: int | None = None
    ) -> Series:
        """At most about `most` points between two steps, both included; the first and the last are always there."""
        self._check(run_id)
        end = last_step if last_step is not None else 2**62
        with self._database.read() as connection:
            of_metric = _OfMetric(connection, run_id, key, first_step, end)
            buckets = of_metric.buckets()
            total = sum(bucket.points for bucket in buckets)
            points = of_metric.raw(first_step, end) if total <= most else _thinned(of_metric.curve(buckets, most), most)
            flagged = of_metric.flagged() if any(bucket.flags for bucket in buckets) else []
        return Series(
            key=key,
            points_total=total,
            exact=total <= most,
            points=[ChartPoint(step=step, value=value) for step, value in points],
            flagged=flagged,
        )


class _Bucket(NamedTuple):
    """What is kept of a stretch of ROLLUP_STEPS steps; no extremes where nothing was a number."""

    number: int
    points: int
    flags: int
    low: float | None
    low_step: int | None
    high: float | None
    high_step: int | None

    @property
    def first(self) -> int:
        return self.number * ROLLUP_STEPS

    @property
    def last(self) -> int:
        return self.first + ROLLUP_STEPS - 1


class _OfMetric:
    """One metric of one run between two steps, both included."""

    def __init__(self, connection: Connection, run_id: str, key: str, first: int, last: int) -> None:
        self._connection = connection
        self._run_id, self._key = run_id, key
        self._first, self._last = first, last

    def buckets(self) -> list[_Bucket]:
        """All that touch the stretch, in order."""
        table = metric_rollups.c
        query = select(
            table.bucket, table.points, table.flags, table.low, table.low_step, table.high, table.high_step
        ).where((table.run_id == self._run_id) & (table.key == self._key))
        touching = table.bucket.between(self._first // ROLLUP_STEPS, self._last // ROLLUP_STEPS)
        # All at once: a row after the other takes twice as long.
        return [
            _Bucket._make(row) for row in self._connection.execute(query.where(touching).order_by(table.bucket)).all()
        ]

    def curve(self, buckets: list[_Bucket], most: int) -> list[Point]:
        """The extremes of buckets that lie whole inside; what sticks out on both sides is read point by point."""
        whole = [each for each in buckets if each.first >= self._first and each.last <= self._last]
        whole = [each for each in whole if each.low is not None]
        if len(whole) * 2 < most // 4 and len(whole) <= READ_WHOLE:
            return self.raw(self._first, self._last)
        before = self.raw(self._first, whole[0].first - 1)
        after = self.raw(whole[-1].last + 1, self._last)
        middle = [point for bucket in whole for point in _extremes(bucket)]
        ends = [] if before else self._end(newest=False)
        points = [*before, *(each for each in ends if each[0] < middle[0][0]), *middle]
        ends = [] if after else self._end(newest=True)
        return [*points, *(each for each in ends if each[0] > middle[-1][0]), *after]

    def raw(self, first: int, last: int) -> list[Point]:
        """Every value between two steps."""
        if last < first:
            return []
        rows = self._connection.execute(self._values(first, last).order_by(metric_points.c.step)).all()
        return [(row.step, row.value) for row in rows]

    def flagged(self) -> list[FlaggedPoint]:
        """The first steps whose value was no number, looked for only where some are."""
        bucket, point = metric_rollups.c, metric_points.c
        inside = point.step.between(bucket.bucket * ROLLUP_STEPS, bucket.bucket * ROLLUP_STEPS + ROLLUP_STEPS - 1)
        same = (point.run_id == bucket.run_id) & (point.key == bucket.key) & inside
        query = select(point.step, point.flag).select_from(metric_rollups.join(metric_points, same))
        query = query.where((bucket.run_id == self._run_id) & (bucket.key == self._key) & (bucket.flags > 0))
        query = query.where(point.value.is_(None) & point.step.between(self._first, self._last))
        rows = self._connection.execute(query.order_by(bucket.bucket, point.step).limit(MOST_FLAGS))
        return [FlaggedPoint(step=step, flag=flag) for step, flag in rows]

    def _end(self, *, newest: bool) -> list[Point]:
        """The very first or the very last value of the stretch, where there is one."""
        step = metric_points.c.step
        query = self._values(self._first, self._last).order_by(step.desc() if newest else step).limit(1)
        return [(row.step, row.value) for row in self._connection.execute(query)]

    def _values(self, first: int, last: int) -> Select[tuple[int, float]]:
        return select(metric_points.c.step, metric_points.c.value).where(
            (metric_points.c.run_id == self._run_id)
            & (metric_points.c.key == self._key)
            & metric_points.c.step.between(first, last)
            & metric_points.c.value.is_not(None)
        )


def _extremes(bucket: _Bucket) -> list[Point]:
    """Its lowest and its highest value, in the order of their steps; once where they are the same."""
    if bucket.low is None or bucket.low_step is None or bucket.high is None or bucket.high_step is None:
        return []
    low, high = (bucket.low_step, bucket.low), (bucket.high_step, bucket.high)
    return [low] if low[0] == high[0] else [low, high] if low[0] < high[0] else [high, low]


def _thinned(points: list[Point], most: int) -> list[Point]:
    """Of every stretch of equally many points the lowest and the highest, in order; the ends stay."""
    if len(points) <= most:
        return points
    stretches = max(1, (most - 2) // 2)
    size = -(-len(points) // stretches)
    kept = dict((points[0], points[-1]))
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        kept |= (min(stretch, key=_value), max(stretch, key=_value))
    return sorted(kept.items())
