"""The base of every value that crosses a boundary: recipe, request, result, error, event, manifest."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class BoundaryModel(BaseModel):
    """Pydantic v2, unknown fields refused, assignments validated, NaN and infinities kept in JSON.

    Errors do not repeat their input, which may be a secret; whoever shows it takes it from `errors()` on purpose.
    """

    model_config = ConfigDict(
        extra="forbid",
        validate_assignment=True,
        validate_default=True,
        ser_json_inf_nan="constants",
        hide_input_in_errors=True,
    )
