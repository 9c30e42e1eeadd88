"""An error as a value: what `--json` prints, what a status or a response carries."""

from __future__ import annotations

from pydantic import Field, JsonValue

from loquela.core.errors import ErrorCode, FailureClass, LoquelaError
from loquela.core.model import BoundaryModel


class ErrorReport(BoundaryModel):
    """`retryable` says whether the same call may succeed later."""

    code: ErrorCode
    message: str
    remedy: str
    retryable: bool = False
    failure_class: FailureClass
    details: dict[str, JsonValue] = Field(default_factory=dict)

    @classmethod
    def of(cls, error: LoquelaError) -> ErrorReport:
        """The report of `error`."""
        return cls(
            code=error.code,
            message=error.message,
            remedy=error.remedy,
            retryable=error.retryable,
            failure_class=error.failure_class,
            details=error.details,
        )
