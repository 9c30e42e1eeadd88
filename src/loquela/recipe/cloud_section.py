"""The recipe section `compute.cloud`: a rented machine for the recipe, what it may cost, when it ends itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from loquela.core.model import BoundaryModel

CloudProvider = Literal["runpod", "aws", "azure", "gcp", "lambda", "nebius", "vast"]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class CloudSection(BoundaryModel):
    """Used by `loquela launch`; as many GPUs are rented as `compute.processes`."""

    provider: CloudProvider = Field("runpod", description="cloud that SkyPilot is to rent from")
    gpu: str = Field(
        "auto",
        pattern=r"^[A-Za-z0-9._-]+$",
        description="GPU type by SkyPilot's name; auto: the cheapest that fits, by plan",
    )
    region: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]+$", description="region of the cloud; null: any")
    spot: bool = Field(False, description="a cheaper machine that may be taken away; its run is resumable")
    disk_gb: int = Field(100, ge=20, le=10_000, description="disk of the machine")
    image: str | None = Field(
        None, pattern=r"^[A-Za-z0-9._:/@-]+$", description="container image; null: the cloud's own with CUDA"
    )
    max_cost_usd: float = Field(5.0, gt=0, le=100_000, description="the machine saves and ends itself before this")
    usd_per_hour: float | None = Field(
        None, gt=0, description="price of one GPU that the cap reckons with; null: as in the table of prices"
    )
    idle_minutes: int = Field(10, ge=2, le=1440, description="without work for so long, the machine ends itself")
    save_minutes: int = Field(5, ge=1, le=120, description="time kept back before the cap, to save and pack up")
    claim_minutes: int = Field(60, ge=0, le=10_080, description="how long finished results wait to be fetched")
    results: str | None = Field(
        None, pattern=r"^(s3|gs|az)://\S+$", description="bucket that results are copied to before the machine ends"
    )
    forward_env: list[VariableName] = Field(
        ["HF_TOKEN"], description="environment variables handed on as secrets, where they are set"
    )
    install: str = Field(
        "loquela[finetune,data]", min_length=1, description="what pip installs there: a requirement, or a wheel here"
    )
