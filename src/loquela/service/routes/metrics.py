"""The numbers of a run, for charts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from loquela.core.model import BoundaryModel
from loquela.jobs.charts import Series
from loquela.service.authentication import Reader
from loquela.service.parts import parts_of
from loquela.service.routes.runs import find_run
from loquela.service.schemas import RunId

router = APIRouter(prefix="/runs", tags=["metrics"])
Key = Annotated[str, Query(min_length=1, max_length=64)]


class MetricNames(BoundaryModel):
    """What a run has told."""

    keys: list[str]


@router.get("/{run_id}/metrics/names")
def names(run_id: RunId, request: Request, key: Reader) -> MetricNames:
    """The names of the run's metrics."""
    parts = parts_of(request)
    return MetricNames(keys=parts.charts.keys(find_run(parts, run_id).run_id))


@router.get("/{run_id}/metrics")
def metrics(
    run_id: RunId,
    request: Request,
    key: Reader,
    name: Annotated[list[Key], Query(max_length=16)],
    most: Annotated[int, Query(ge=4, le=20_000)] = 1000,
    first_step: Annotated[int, Query(ge=0)] = 0,
    last_step: Annotated[int | None, Query(ge=0)] = None,
) -> list[Series]:
    """Metrics by name, thinned to about `most` points each: of every stretch its lowest and highest, never a sample."""
    parts = parts_of(request)
    run = find_run(parts, run_id).run_id
    return [parts.charts.series(run, each, most=most, first_step=first_step, last_step=last_step) for each in name]
