"""Request, result and error of DataValidator, with the fields that its specification gives."""

from __future__ import annotations

from typing import Literal
from uuid import UUID, uuid4

from pydantic import Field, JsonValue

from loquela.core.model import BoundaryModel


class ValidationRules(BoundaryModel):
    """What a chunk must keep; patterns are those of `data.validation.patterns`."""

    encoding: Literal["utf-8", "ascii"] = "utf-8"
    min_quality_score: float = Field(0.0, ge=0, le=1)
    prohibited_patterns: list[str] = Field(default_factory=list)


class DataValidatorRequest(BoundaryModel):
    """One chunk of a stream: whole records, so that no character is cut in two."""

    stream_id: UUID
    chunk_data: bytes
    validation_rules: ValidationRules = Field(default_factory=ValidationRules)


class QualityMetrics(BoundaryModel):
    """`quality_score` is that of the rule set `basic`; `issues_found` counts rules broken and matches found."""

    encoding_valid: bool
    quality_score: float
    issues_found: int


class DataValidatorResult(BoundaryModel):
    """`sanitized_data` is the chunk itself where there was nothing to take out."""

    validation_id: UUID = Field(default_factory=uuid4)
    status: Literal["passed", "failed", "warning"]
    quality_metrics: QualityMetrics
    sanitized_data: bytes


class DataValidatorError(BoundaryModel):
    """`details`: one object a finding (byte offset, pattern, or rule with value and threshold)."""

    error_code: Literal["ENCODING_ERROR", "QUALITY_BELOW_THRESHOLD", "PROHIBITED_CONTENT"]
    details: list[JsonValue]
    chunk_rejected: bool
