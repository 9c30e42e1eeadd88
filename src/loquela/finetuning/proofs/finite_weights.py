"""Every number of the base and the adapter is a number: one that is not makes losses that libraries hide as 0."""

from __future__ import annotations

from torch import Tensor

from loquela.artifacts.proof import Proof
from loquela.core.errors import ErrorCode
from loquela.finetuning.proofs.subject import Subject
from loquela.finetuning.verification import base_name
from loquela.training.shards import whole

NAME = "finite_weights"
SHOWN = 3


def prove_finite(subject: Subject) -> Proof:
    """Base and adapter, scales of quantised matrices among them, as they lie in memory."""
    state = {name: value for name, value in subject.model.state_dict().items() if isinstance(value, Tensor)}
    broken = sorted({base_name(name) for name, value in state.items() if not _finite(whole(value))})
    shown = ", ".join(broken[:SHOWN]) + (", …" if len(broken) > SHOWN else "")
    return Proof(
        name=NAME,
        passed=not broken,
        message=f"{len(broken)} of {len(state)} tensors hold values that are no numbers: {shown}"
        if broken
        else f"all {len(state)} tensors hold numbers alone",
        remedy="get the base again: its files, or what converted them, are damaged",
        code=ErrorCode.NAN_DETECTED,
        numbers={"tensors": len(state), "not_finite": list(broken[:100])},
    )


def _finite(value: Tensor) -> bool:
    """Extremes of a tensor with NaN or infinity are not finite: no mask of its size is needed."""
    if not value.is_floating_point() or not value.numel():
        return True
    low, high = value.detach().aminmax()
    return bool(low.isfinite()) and bool(high.isfinite())
