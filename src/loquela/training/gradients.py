"""Backward pass and clipping, without waiting for the device.

The norm of all gradients together is computed once; clipping multiplies by min(1, limit / norm), a number that
stays on the device, and so does the answer to "is it finite". A norm that is not finite clips nothing: the
gradients stay as they are for whoever decides what to do with the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from loquela.core.errors import ErrorCode, InternalError, LoquelaError, ProofError
from loquela.monitoring.events import Bus, SilentBus, trace
from loquela.training.contracts import GradientComputerRequest, GradientComputerResult
from loquela.training.distributed import Group
from loquela.training.memory import is_out_of_memory
from loquela.training.shards import is_share, own_part

# In float32, squares of gradients of this norm vanish: Adam's second moment would be zero.
VANISHING_NORM = 1e-20


@dataclass(frozen=True)
class GradientNorm:
    """Scalars on the gradients' device: `norm` before clipping (float32), `finite` (bool), `coefficient` applied."""

    norm: Tensor
    finite: Tensor
    coefficient: Tensor


def backward(loss: Tensor, bus: Bus | None = None, run: Callable[[Tensor], None] | None = None) -> None:
    """Add the gradients of a scalar loss to its parameters; the trace point goes to `bus` where one is given.

    `run` does it instead of torch's own backward pass.
    Raises InternalError(BACKWARD_FAILED) for whatever torch refuses; running out of memory passes through, for
    the caller who knows the batch.
    """
    if bus is not None:
        trace(bus, "GradientComputer", "backward_start")
    try:
        if run is None:
            loss.backward()
        else:
            run(loss)
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise InternalError(
            ErrorCode.BACKWARD_FAILED,
            f"the backward pass failed: {error}",
            "resume from the last checkpoint; report this if it comes again",
            details={"gradient_norm": None},
        ) from error


@torch.no_grad()
def clip_gradients(
    parameters: Sequence[Tensor], clip_norm: float | None, bus: Bus | None = None, group: Group | None = None
) -> GradientNorm:
    """Scale all gradients so that their global 2-norm is at most `clip_norm` (None: only measure it).

    A coefficient of 1 leaves every bit as it is. Parameters without a gradient count nothing; of those that are shared
    out each rank of `group` measures its part. Where a `bus` is given the numbers are read for its trace points, which
    waits for the device.
    """
    held = [parameter.grad for parameter in parameters if parameter.grad is not None]
    gradients = [own_part(gradient) for gradient in held]
    norm = torch.nn.utils.get_total_norm(gradients, norm_type=2.0).float()
    if group is not None and any(is_share(gradient) for gradient in held):
        norm = group.sum(norm.double().square()).sqrt().float()
    finite = torch.isfinite(norm)
    coefficient = torch.ones_like(norm)
    if clip_norm is not None:
        coefficient = torch.where(finite, (clip_norm / norm).clamp(max=1.0), 1.0)
        for device in {gradient.device for gradient in gradients}:
            torch._foreach_mul_([g for g in gradients if g.device == device], coefficient.to(device))
    if bus is not None:
        value = float(norm)
        shown = value if math.isfinite(value) else str(value)
        trace(bus, "GradientComputer", "gradients_computed", gradient_norm=shown)
        if float(coefficient) < 1.0:
            trace(bus, "GradientComputer", "gradients_clipped", gradient_norm=shown, gradient_clip_norm=clip_norm)
    return GradientNorm(norm, finite, coefficient)


class GradientComputer:
    """The component: backward, sum over ranks, clip, check; it waits for the device to report numbers."""

    def __init__(self, group: Group | None = None, bus: Bus | None = None) -> None:
        self.group = group or Group()
        self.bus: Bus = bus or SilentBus()

    def compute(self, request: GradientComputerRequest) -> GradientComputerResult:
        """Gradients of `loss_value` by the parameters; `distributed` adds them up over the ranks of the group.

        Raises InternalError(BACKWARD_FAILED), ProofError(GRADIENT_EXPLOSION) for a norm that is not finite,
        ProofError(GRADIENT_VANISHING) for one below VANISHING_NORM; `gradient_norm` is in the details.
        """
        parameters = request.model_parameters
        backward(request.loss_value, self.bus)
        if request.distributed:
            self.group.sum_gradients(parameters)
        measured = clip_gradients(parameters, request.gradient_clip_norm, self.bus)
        norm = float(measured.norm)
        if not math.isfinite(norm):
            raise explosion(norm)
        if norm < VANISHING_NORM:
            raise vanishing(norm)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        clipped = float(measured.coefficient) < 1.0
        return GradientComputerResult(gradients=gradients, gradient_norm=norm, clipped=clipped)


def explosion(norm: float) -> LoquelaError:
    """GRADIENT_EXPLOSION; a norm that is not finite is written as text, for JSON has no number for it."""
    return ProofError(
        ErrorCode.GRADIENT_EXPLOSION,
        f"the gradient norm is {norm}: the update would destroy the weights",
        "lower train.learning_rate or train.gradient_clip_norm, or resume from an earlier checkpoint",
        details={"gradient_norm": norm if math.isfinite(norm) else str(norm)},
    )


def vanishing(norm: float) -> LoquelaError:
    """GRADIENT_VANISHING."""
    return ProofError(
        ErrorCode.GRADIENT_VANISHING,
        f"the gradient norm is {norm:.3g}: nothing would be learnt",
        "check that targets are not all ignored and that the loss depends on the weights; raise train.learning_rate",
        details={"gradient_norm": norm},
    )
