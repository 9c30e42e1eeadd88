"""A check with numbers, run before or after a stage and saved with the run; a failing one stops it."""

from __future__ import annotations

from pydantic import Field, JsonValue

from loquela.core.errors import ErrorCode
from loquela.core.model import BoundaryModel


class Proof(BoundaryModel):
    """What was checked, what was found, whether it holds; `remedy` mends it when it does not."""

    name: str
    passed: bool
    message: str
    remedy: str = ""
    code: ErrorCode = ErrorCode.VALIDATION_FAILED
    numbers: dict[str, JsonValue] = Field(default_factory=dict)
