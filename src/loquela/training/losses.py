"""What is minimised, per token, in float32:

    cross_entropy   -log p_t                     p = softmax(logits), t the target
    mse             sum over v of (p_v - y_v)^2  y = one-hot of t (the Brier score; dividing it by the vocabulary
                                                 would push gradients below what optimizers can see)
    focal           -(1 - p_t)^gamma log p_t     T.-Y. Lin et al., "Focal Loss for Dense Object Detection", 2017

Targets of -100 count nothing. Reductions: `mean` over the tokens that count, `sum`, `none` (one loss a token).

In training the loss of a step is a sum over the tokens of the *global* batch, divided once by `loss_divisor`:
their number under `mean`, nothing under `sum`. A step needs one number, so `none` trains as `mean`; losses of
single tokens are what `LossCalculator` and evaluation give.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import JsonValue
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from loquela.core.errors import ErrorCode, InternalError, LoquelaError, ProofError
from loquela.models.contract import LanguageModel
from loquela.models.head_loss import chunk_rows, chunked_cross_entropy
from loquela.models.kernels import linear
from loquela.monitoring.events import Bus, SilentBus, trace
from loquela.recipe.schema import LossSection
from loquela.training.contracts import LossCalculatorRequest, LossCalculatorResult, LossName
from loquela.training.rows import IGNORED


def token_losses(logits: Tensor, targets: Tensor, name: LossName, focal_gamma: float = 2.0) -> Tensor:
    """The loss of each token: logits [N, V] and int64 targets [N] → float32 [N], 0 where the target is -100."""
    logits = logits.float()
    if name == "cross_entropy":
        return F.cross_entropy(logits, targets, reduction="none", ignore_index=IGNORED)
    counted = targets != IGNORED
    chosen = targets.where(counted, 0)[:, None]
    if name == "mse":
        probabilities = logits.softmax(1)
        error = probabilities.scatter_add(1, chosen, probabilities.new_full(chosen.shape, -1.0))
        losses = error.square().sum(1)
    else:
        log_p = logits.log_softmax(1).gather(1, chosen).squeeze(1)
        # expm1 keeps 1 - p exact for a sure prediction; the floor keeps the derivative of a power below 1 finite.
        doubt = (-torch.expm1(log_p)).clamp_min(torch.finfo(torch.float32).tiny)
        losses = -doubt.pow(focal_gamma) * log_p
    return losses.where(counted, 0.0)


def training_loss(
    section: LossSection, model: LanguageModel, tokens: Tensor, targets: Tensor, bus: Bus | None = None
) -> Tensor:
    """The SUM over label tokens of the loss of one micro-batch, a float32 scalar to be divided by `loss_divisor`.

    tokens and targets are [B, T]; B = 0 (a rank without rows) gives a zero that reaches every parameter. Logits
    never exist whole: cross-entropy runs in `models.head_loss`, the others chunk by chunk, each chunk's logits
    computed again in the backward pass. Trace points go to `bus` where one is given.
    """
    if bus is not None:
        trace(bus, "LossCalculator", "loss_computation_start", loss_function=section.name, tokens=targets.numel())
    if tokens.shape[0] == 0:
        loss = torch.stack([parameter.sum() * 0.0 for parameter in model.parameters()]).sum().float()
    else:
        hidden = model.hidden(tokens).flatten(0, 1)
        if section.name == "cross_entropy":
            loss = chunked_cross_entropy(hidden, model.head_weight, targets.flatten(), ignore_index=IGNORED)
        else:
            loss = _chunked(section, hidden, model.head_weight, targets.flatten())
    if bus is not None:
        trace(bus, "LossCalculator", "loss_computed", loss_function=section.name, reduction=section.reduction)
    return loss


def loss_divisor(section: LossSection, label_tokens: int) -> float:
    """What the summed loss of a step with `label_tokens` in the global batch is divided by."""
    return 1.0 if section.reduction == "sum" else float(max(1, label_tokens))


def _chunked(section: LossSection, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Sum of `token_losses` over chunks of rows: hidden [N, D], weight [V, D], targets [N]."""

    def of_chunk(states: Tensor, matrix: Tensor, wanted: Tensor) -> Tensor:
        return token_losses(linear(states, matrix, None), wanted, section.name, section.focal_gamma).sum()

    rows = chunk_rows(hidden.shape[0], weight.shape[0], hidden.device.type)
    total = hidden.new_zeros((), dtype=torch.float32)
    for states, wanted in zip(hidden.split(rows), targets.split(rows), strict=True):
        part: Tensor = checkpoint(of_chunk, states, weight, wanted, use_reentrant=False, preserve_rng_state=False)
        total = total + part
    return total


class LossCalculator:
    """The component: one loss from logits and targets, checked; for use outside the training loop."""

    def __init__(self, focal_gamma: float = 2.0, bus: Bus | None = None) -> None:
        self.focal_gamma = focal_gamma
        self.bus: Bus = bus or SilentBus()

    def compute(self, request: LossCalculatorRequest) -> LossCalculatorResult:
        """The reduced loss, and the loss of each token under "none" (shape of the targets).

        `numerical_stable` is False when the loss is finite although some logit is not. Raises
        InternalError(SHAPE_MISMATCH), ProofError(NAN_DETECTED, INF_DETECTED); their details are the debug_info.
        """
        logits, targets, name = request.predictions, request.targets, request.loss_function
        trace(self.bus, "LossCalculator", "loss_computation_start", loss_function=name, tokens=targets.numel())
        counted = check_shapes(logits, targets)
        with torch.no_grad():
            losses = token_losses(logits.flatten(0, -2), targets.flatten(), name, self.focal_gamma)
            value = losses.sum().item()
        if not math.isfinite(value):
            raise not_finite(losses, logits)
        if request.reduction != "sum":
            value /= counted
        # A finite sum proves all logits finite in one pass; only a sum that is not needs the closer look.
        stable = math.isfinite(logits.sum().item()) or bool(torch.isfinite(logits).all())
        trace(self.bus, "LossCalculator", "loss_computed", loss_function=name, loss=value, numerical_stable=stable)
        per_sample = losses.view(targets.shape) if request.reduction == "none" else None
        return LossCalculatorResult(loss_value=value, per_sample_loss=per_sample, numerical_stable=stable)


def check_shapes(logits: Tensor, targets: Tensor) -> int:
    """How many targets count, at least one.

    Raises InternalError(SHAPE_MISMATCH) unless logits are [..., V] and targets int64 [...] in [0, V) or -100.
    """
    shapes: dict[str, JsonValue] = {"predictions": list(logits.shape), "targets": list(targets.shape)}
    if logits.dim() < 2 or logits.shape[:-1] != targets.shape or targets.dtype != torch.int64:
        raise InternalError(
            ErrorCode.SHAPE_MISMATCH,
            f"logits {tuple(logits.shape)} do not fit {targets.dtype} targets {tuple(targets.shape)}",
            "give logits [..., V] and int64 class ids [...]",
            details=shapes,
        )
    chosen = targets[targets != IGNORED]
    if chosen.numel() == 0:
        raise InternalError(
            ErrorCode.SHAPE_MISMATCH,
            "there is no target to compute a loss of: all are ignored",
            "give at least one target other than -100",
            details=shapes,
        )
    low, high = (int(bound) for bound in torch.aminmax(chosen))
    if low < 0 or high >= logits.shape[-1]:
        raise InternalError(
            ErrorCode.SHAPE_MISMATCH,
            f"targets run from {low} to {high}, outside the {logits.shape[-1]} classes of the logits",
            "give class ids below the last dimension of the logits, or -100",
            details={**shapes, "lowest": low, "highest": high},
        )
    return chosen.numel()


def not_finite(losses: Tensor, logits: Tensor) -> LoquelaError:
    """NAN_DETECTED or INF_DETECTED, with how many, where first, and what the logits were like."""
    nan, infinite = losses.isnan(), losses.isinf()
    wrong = nan | infinite
    what = "NaN" if bool(nan.any()) else "infinite"
    if not bool(wrong.any()):
        what, wrong = "infinite", torch.ones_like(wrong)
    details: dict[str, JsonValue] = {
        "nan_losses": int(nan.sum()),
        "infinite_losses": int(infinite.sum()),
        "losses": losses.numel(),
        "first_token": int(wrong.nonzero()[0]),
        "nan_logits": int(logits.isnan().sum()),
        "infinite_logits": int(logits.isinf().sum()),
    }
    return ProofError(
        ErrorCode.NAN_DETECTED if what == "NaN" else ErrorCode.INF_DETECTED,
        f"the loss is {what}: {int(wrong.sum())} of {losses.numel()} tokens, the first at {details['first_token']}; "
        f"{details['nan_logits']} logits are NaN and {details['infinite_logits']} infinite",
        "lower train.learning_rate, or resume from an earlier checkpoint",
        details=details,
    )
