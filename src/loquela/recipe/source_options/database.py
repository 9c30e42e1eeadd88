"""Options of databases: `sqlite:///…`, `postgresql://…`."""

from __future__ import annotations

from pydantic import Field

from loquela.core.model import BoundaryModel


class DatabaseOptions(BoundaryModel):
    """What is asked of the database: one SELECT in a read-only transaction."""

    query: str = Field(
        min_length=1,
        description="one SELECT (or WITH … SELECT) with ORDER BY over a unique column; values stand as :name",
    )
    parameters: dict[str, str | int | float | bool | None] = Field({}, description="name → value of each :name")
    batch_rows: int = Field(
        1000, ge=1, le=100_000, description="rows fetched at a time: more memory, fewer round trips"
    )
    timeout_seconds: float = Field(60.0, gt=0, le=86_400, description="longest time the database may work on one batch")
