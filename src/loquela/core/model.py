"""The base of every value that crosses a boundary: recipe, request, result, error, event, manifest."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class BoundaryModel(BaseModel):
    """Pydantic v2, unknown fields refused, assignments validated, NaN and infinities kept in JSON."""

    model_config = ConfigDict(
        extra="forbid", validate_assignment=True, validate_default=True, ser_json_inf_nan="constants"
    )
