"""A metric for a chart: every point where they are few, else the lowest and highest of every stretch. Never a sample.

The same points always give the same chart, and no extreme is ever left out; what was no number is told apart.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from loquela.core.model import BoundaryModel
from loquela.jobs.database import Database
from loquela.jobs.rollups import ROLLUP_STEPS
from loquela.jobs.tables import metric_points, metric_rollups

MOST_FLAGS = 1000


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


class Charts:
    """Reads; never writes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keys(self, run_id: str) -> list[str]:
        """The metrics that a run has told, by name."""
        query = select(metric_rollups.c.key).where(metric_rollups.c.run_id == run_id).distinct()
        with self._database.read() as connection:
            return sorted(str(row.key) for row in connection.execute(query))

    def series(
        self, run_id: str, key: str, *, most: int = 1000, first_step: int = 0, last_step: int | None = None
    ) -> Series:
        """At most about `most` points between two steps, both included; the first and the last are always there."""
        end = last_step if last_step is not None else 2**62
        with self._database.read() as connection:
            total = self._count(connection, run_id, key, first_step, end)
            if total <= most:
                points = self._raw(connection, run_id, key, first_step, end)
            else:
                points = self._extremes(connection, run_id, key, first_step, end, most)
            flagged = self._flagged(connection, run_id, key, first_step, end)
        return Series(key=key, points_total=total, exact=total <= most, points=points, flagged=flagged)

    def _count(self, connection: Connection, run_id: str, key: str, first: int, last: int) -> int:
        query = select(func.sum(metric_rollups.c.points)).where(
            (metric_rollups.c.run_id == run_id)
            & (metric_rollups.c.key == key)
            & (metric_rollups.c.bucket >= first // ROLLUP_STEPS)
            & (metric_rollups.c.bucket <= last // ROLLUP_STEPS)
        )
        return int(connection.execute(query).scalar() or 0)

    def _raw(self, connection: Connection, run_id: str, key: str, first: int, last: int) -> list[ChartPoint]:
        query = select(metric_points.c.step, metric_points.c.value).where(
            (metric_points.c.run_id == run_id)
            & (metric_points.c.key == key)
            & metric_points.c.step.between(first, last)
            & metric_points.c.value.is_not(None)
        )
        rows = connection.execute(query.order_by(metric_points.c.step))
        return [ChartPoint(step=int(row.step), value=float(row.value)) for row in rows]

    def _extremes(
        self, connection: Connection, run_id: str, key: str, first: int, last: int, most: int
    ) -> list[ChartPoint]:
        """Of buckets that lie whole inside the stretch; what sticks out on both sides is read point by point."""
        inside = (metric_rollups.c.bucket * ROLLUP_STEPS >= first) & (
            (metric_rollups.c.bucket + 1) * ROLLUP_STEPS - 1 <= last
        )
        query = select(metric_rollups).where(
            (metric_rollups.c.run_id == run_id) & (metric_rollups.c.key == key) & inside
        )
        rows = connection.execute(query.order_by(metric_rollups.c.bucket)).all()
        whole = [row for row in rows if row.low is not None]
        if len(whole) * 2 < most // 4:
            # So few buckets would show steps, not a curve: the points themselves are still not many.
            return _thinned(self._raw(connection, run_id, key, first, last), most)
        from_step = int(whole[0].bucket) * ROLLUP_STEPS
        to_step = (int(whole[-1].bucket) + 1) * ROLLUP_STEPS - 1
        middle = [(int(row.low_step), float(row.low)) for row in whole]
        middle += [(int(row.high_step), float(row.high)) for row in whole]
        before = self._raw(connection, run_id, key, first, from_step - 1)
        after = self._raw(connection, run_id, key, to_step + 1, last)
        ends = self._ends(connection, run_id, key, first, last)
        points = [ChartPoint(step=step, value=value) for step, value in sorted({*middle, *ends})]
        return _thinned([*before, *points, *after], most)

    def _ends(self, connection: Connection, run_id: str, key: str, first: int, last: int) -> list[tuple[int, float]]:
        """The very first and the very last value of the stretch."""
        query = select(metric_points.c.step, metric_points.c.value).where(
            (metric_points.c.run_id == run_id)
            & (metric_points.c.key == key)
            & metric_points.c.step.between(first, last)
            & metric_points.c.value.is_not(None)
        )
        found = []
        for order in (metric_points.c.step, metric_points.c.step.desc()):
            row = connection.execute(query.order_by(order).limit(1)).one_or_none()
            if row is not None:
                found.append((int(row.step), float(row.value)))
        return found

    def _flagged(self, connection: Connection, run_id: str, key: str, first: int, last: int) -> list[FlaggedPoint]:
        odd = (metric_rollups.c.run_id == run_id) & (metric_rollups.c.key == key) & (metric_rollups.c.flags > 0)
        buckets = [int(row.bucket) for row in connection.execute(select(metric_rollups.c.bucket).where(odd))]
        if not buckets:
            return []
        query = select(metric_points.c.step, metric_points.c.flag).where(
            (metric_points.c.run_id == run_id)
            & (metric_points.c.key == key)
            & metric_points.c.step.between(max(first, min(buckets) * ROLLUP_STEPS), last)
            & metric_points.c.value.is_(None)
        )
        rows = connection.execute(query.order_by(metric_points.c.step).limit(MOST_FLAGS))
        return [FlaggedPoint(step=int(row.step), flag=str(row.flag)) for row in rows]


def _thinned(points: list[ChartPoint], most: int) -> list[ChartPoint]:
    """Of every stretch of equally many points the lowest and the highest, in order; the ends stay."""
    if len(points) <= most:
        return points
    stretches = max(1, (most - 2) // 2)
    size = -(-len(points) // stretches)
    kept = {points[0].step: points[0], points[-1].step: points[-1]}
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        for point in (min(stretch, key=_value), max(stretch, key=_value)):
            kept[point.step] = point
    return [kept[step] for step in sorted(kept)]


def _value(point: ChartPoint) -> float:
    return point.value
