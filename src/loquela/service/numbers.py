"""Numbers that JSON has no word for go out as the words "NaN", "Infinity" and "-Infinity": nothing becomes null."""

from __future__ import annotations

import math

from pydantic import JsonValue


def worded(value: JsonValue) -> JsonValue:
    """`value` with every number that is not finite as its word."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: worded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [worded(inner) for inner in value]
    return value


def worded_object(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The same for an object."""
    return {key: worded(inner) for key, inner in value.items()}
