"""What a Slurm cluster wants to know of the jobs that prepare data (`compute.data: slurm`)."""

from __future__ import annotations

from pydantic import Field

from loquela.core.model import BoundaryModel


class SlurmSection(BoundaryModel):
    """One array job; every element of it performs one task, `compute.data_workers` of them at a time."""

    partition: str = Field("", pattern=r"^[A-Za-z0-9_.,-]*$", description="partition of the cluster")
    time_limit: str = Field(
        "04:00:00", pattern=r"^(\d+-)?\d{1,3}:\d{2}:\d{2}$", description="of one task: [days-]hours:minutes:seconds"
    )
    cpus_per_task: int = Field(1, ge=1, le=1024, description="processors of one task")
    memory_gb_per_cpu: int = Field(2, ge=1, le=1024, description="memory for each of them")
    qos: str = Field("", pattern=r"^[A-Za-z0-9_.-]*$", description="quality of service; empty: the cluster's default")
