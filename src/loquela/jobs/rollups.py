"""The extremes of every so many steps, kept beside the points as they come in."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, delete, insert, select

from loquela.jobs.tables import metric_points, metric_rollups

ROLLUP_STEPS = 256


def roll_up(connection: Connection, run_id: str, touched: Collection[tuple[str, int]]) -> None:
    """Compute the buckets anew that the points (key, step) fall into, in the transaction that wrote the points."""
    buckets = sorted({(key, step // ROLLUP_STEPS) for key, step in touched})
    made = []
    for key, bucket in buckets:
        row = _computed(connection, run_id, key, bucket)
        there = (metric_rollups.c.run_id == run_id) & (metric_rollups.c.key == key)
        connection.execute(delete(metric_rollups).where(there & (metric_rollups.c.bucket == bucket)))
        made.append({"run_id": run_id, "key": key, "bucket": bucket, **row})
    if made:
        connection.execute(insert(metric_rollups), made)


def forget_rollups(connection: Connection, run_id: str) -> None:
    """Remove all buckets of a run."""
    connection.execute(delete(metric_rollups).where(metric_rollups.c.run_id == run_id))


def _computed(connection: Connection, run_id: str, key: str, bucket: int) -> dict[str, object]:
    first = bucket * ROLLUP_STEPS
    query = select(metric_points.c.step, metric_points.c.value).where(
        (metric_points.c.run_id == run_id)
        & (metric_points.c.key == key)
        & (metric_points.c.step >= first)
        & (metric_points.c.step < first + ROLLUP_STEPS)
    )
    rows = connection.execute(query.order_by(metric_points.c.step)).all()
    finite = [(float(row.value), int(row.step)) for row in rows if row.value is not None]
    low = min(finite, default=None)
    high = max(finite, key=lambda point: (point[0], -point[1]), default=None)
    return {
        "points": len(rows),
        "flags": len(rows) - len(finite),
        "low": low[0] if low else None,
        "low_step": low[1] if low else None,
        "high": high[0] if high else None,
        "high_step": high[1] if high else None,
    }
