"""Request, result and error of the ComputeResourceManager."""

from __future__ import annotations

from typing import Literal
from uuid import UUID, uuid4

from pydantic import Field, JsonValue

from loquela.core.model import BoundaryModel

ComputeErrorCode = Literal["INSUFFICIENT_RESOURCES", "ALLOCATION_TIMEOUT", "DEVICE_FAILURE"]


class ResourceRequirements(BoundaryModel):
    """What a job needs; `gpu_count` 0 asks for the CPU, `gpu_memory_gb` is free memory on each device."""

    gpu_count: int = Field(0, ge=0)
    gpu_memory_gb: int = Field(0, ge=0)
    distributed: bool = False


class ComputeResourceManagerRequest(BoundaryModel):
    """A job's needs and how urgent it is."""

    resource_requirements: ResourceRequirements = Field(default_factory=ResourceRequirements)
    priority: Literal["high", "medium", "low"] = "medium"


class AllocatedResource(BoundaryModel):
    """One device: `memory_gb` in all (GiB, rounded down), `utilization` the share of it in use when allocated."""

    device_id: str
    type: Literal["gpu", "tpu", "cpu"]
    memory_gb: int
    utilization: float = Field(ge=0, le=1)


class ComputeResourceManagerResult(BoundaryModel):
    """The devices found healthy, and how processes are to be laid over them."""

    allocation_id: UUID = Field(default_factory=uuid4)
    resources: list[AllocatedResource]
    cluster_config: dict[str, JsonValue] = Field(default_factory=dict)


class ComputeResourceManagerError(BoundaryModel):
    """Why nothing was allocated, what is there, and when asking again may help (0: never)."""

    error_code: ComputeErrorCode
    available_resources: dict[str, JsonValue]
    retry_after_seconds: int = Field(ge=0)
