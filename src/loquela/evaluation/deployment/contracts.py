"""The DeploymentValidator's request, result and error."""

from __future__ import annotations

from typing import Literal
from uuid import UUID, uuid4

from pydantic import Field

from loquela.core.model import BoundaryModel


class PerformanceRequirements(BoundaryModel):
    """What is required: p95 of a request in milliseconds, and requests answered per second."""

    max_latency_ms: int = Field(ge=1)
    min_throughput_qps: int = Field(ge=1)


class DeploymentValidatorRequest(BoundaryModel):
    """Which bundle to check; `test_inputs` are prompts that are sent beside the bundle's own."""

    export_path: str
    test_inputs: list[str] = Field(default_factory=list, max_length=1000)
    performance_requirements: PerformanceRequirements


class DeploymentTestResults(BoundaryModel):
    """Medians over the repeats; `memory_usage_mb` is resident memory after the load."""

    avg_latency_ms: float
    throughput_qps: float
    memory_usage_mb: float


class DeploymentValidatorResult(BoundaryModel):
    """What was found; `deployment_ready` says that the bundle may be promoted."""

    validation_id: UUID = Field(default_factory=uuid4)
    passed: bool
    test_results: DeploymentTestResults
    deployment_ready: bool


class DeploymentValidatorError(BoundaryModel):
    """Why a bundle is not ready, one sentence a failure."""

    error_code: Literal["PERFORMANCE_BELOW_THRESHOLD", "INFERENCE_FAILED", "COMPATIBILITY_ERROR"]
    failures: list[str]
