"""How processes that train together hold the weights, beyond each having all of them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from loquela.core.model import BoundaryModel

Strategy = Literal["ddp", "fsdp", "deepspeed"]


class FsdpOptions(BoundaryModel):
    """What every process keeps of the network under `strategy: fsdp`, between two uses of a layer."""

    sharding: Literal["full", "grad_op"] = Field(
        "full",
        description="full: a share of each layer, gathered when it is needed; grad_op: layers stay whole from the "
        "forward to the backward pass, gradients and the optimizer's state are shared out",
    )
    cpu_offload: bool = Field(False, description="shares and the optimizer's state in host memory; CUDA only")


class DeepSpeedOptions(BoundaryModel):
    """What DeepSpeed's ZeRO shares out over the processes under `strategy: deepspeed`."""

    stage: Literal[1, 2, 3] = Field(2, description="1: the optimizer's state; 2: gradients too; 3: weights too")
