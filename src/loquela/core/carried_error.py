"""An error on its way from one process to another: raised there as the class and with the words that it had here."""

from __future__ import annotations

from pydantic import Field, JsonValue

from loquela.core.errors import (
    DataError,
    ErrorCode,
    InternalError,
    Interrupted,
    LoquelaError,
    ProofError,
    RecipeError,
    ResourceError,
)
from loquela.core.model import BoundaryModel

KINDS: dict[str, type[LoquelaError]] = {
    kind.__name__: kind for kind in (RecipeError, DataError, ResourceError, ProofError, InternalError, Interrupted)
}


class CarriedError(BoundaryModel):
    """`kind` is the name of the class; an unknown one is raised as an InternalError."""

    kind: str
    code: ErrorCode
    message: str
    remedy: str
    retryable: bool = False
    details: dict[str, JsonValue] = Field(default_factory=dict)

    @classmethod
    def of(cls, error: LoquelaError) -> CarriedError:
        """`error`, ready to be written as JSON."""
        return cls(
            kind=type(error).__name__,
            code=error.code,
            message=error.message,
            remedy=error.remedy,
            retryable=error.retryable,
            details=error.details,
        )

    def error(self) -> LoquelaError:
        """The error again."""
        return KINDS.get(self.kind, InternalError)(
            self.code, self.message, self.remedy, retryable=self.retryable, details=self.details
        )
