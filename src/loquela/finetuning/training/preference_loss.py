"""What preferences cost: log-probabilities of whole answers under the model and under its base, and their losses.

The reference is the same network with its adapter off, in evaluation mode: nothing is copied, and it cannot drift.

r = log p(answer) - log p_base(answer); β is `beta`.
sigmoid             -(1-ε) log σ(β(r_chosen - r_rejected)) - ε log σ(-β(…))   Rafailov et al. 2023 (7), ε smoothing
hinge               max(0, 1 - β(r_chosen - r_rejected))                      Zhao et al. 2023
ipo                 (r̄_chosen - r̄_rejected - 1/(2β))², r̄ per token            Azar et al. 2023 (17)
kto                 w (1 - σ(±β(r - z))), z = max(0, mean r of mismatched)    Ethayarajh et al. 2024 (7)
apo_zero_unpaired   w (1 - σ(±βr))                                            D'Oosterlinck et al. 2024 (6)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from loquela.core.errors import ErrorCode, RecipeError
from loquela.finetuning.training.collate import IGNORED
from loquela.finetuning.training.loss import hidden_states
from loquela.finetuning.training.preference_collate import DESIRABLE, others_of
from loquela.models.head_loss import chunk_rows, token_losses
from loquela.models.pretrained.causal import CausalModel
from loquela.recipe.finetune_section import PreferenceOptions

Batch = Mapping[str, Tensor]


@dataclass(frozen=True)
class Compared:
    """Per row: `losses` with their graph, and `margins`, β times how much more the better answer gained (detached).

    Of a judged answer the margin is β r, with the other sign when it was bad.
    """

    losses: Tensor
    margins: Tensor


class PreferenceLoss:
    """The loss of a batch under one of the kinds above."""

    def __init__(self, model: CausalModel, kind: str, options: PreferenceOptions) -> None:
        self.model = model
        self.kind = kind
        self.options = options
        self._by_kind: dict[str, Callable[[Batch, Tensor], Compared]] = {
            "sigmoid": self._pairs,
            "hinge": self._pairs,
            "ipo": self._pairs,
            "kto": self._judged,
            "apo_zero_unpaired": self._judged,
        }

    def __call__(self, batch: Batch) -> Tensor:
        """Sum of the losses of a batch's rows, a scalar."""
        return self.compare(batch).losses.sum()

    def compare(self, batch: Batch) -> Compared:
        """Losses and margins of every row."""
        return self._by_kind[self.kind](batch, self.ratios(batch))

    def ratios(self, batch: Batch) -> Tensor:
        """log p - log p_base of every sequence of a batch, [sequences] in float32, with the graph of the first."""
        with torch.no_grad(), reference(self.model.module):
            base = answer_log_probs(self.model, batch)
        return answer_log_probs(self.model, batch) - base

    def _pairs(self, batch: Batch, ratios: Tensor) -> Compared:
        beta, smoothing = self.options.beta, self.options.label_smoothing
        chosen, rejected = ratios[0::2], ratios[1::2]
        scaled = beta * (chosen - rejected)
        if self.kind == "sigmoid":
            losses = -(1 - smoothing) * F.logsigmoid(scaled) - smoothing * F.logsigmoid(-scaled)
        elif self.kind == "hinge":
            losses = torch.relu(1 - scaled)
        else:
            per_token = ratios / learnt_counts(batch)
            losses = (per_token[0::2] - per_token[1::2] - 1 / (2 * beta)) ** 2
        return Compared(losses, scaled.detach())

    def _judged(self, batch: Batch, ratios: Tensor) -> Compared:
        beta, good = self.options.beta, batch[DESIRABLE]
        moved = self._moved(batch) if self.kind == "kto" else torch.zeros((), device=ratios.device)
        sign = torch.where(good, 1.0, -1.0)
        weights = torch.where(good, self.options.desirable_weight, self.options.undesirable_weight)
        losses = weights * (1 - torch.sigmoid(beta * sign * (ratios - moved)))
        return Compared(losses, (beta * sign * ratios).detach())

    @torch.no_grad()
    def _moved(self, batch: Batch) -> Tensor:
        """How far the model has gone from its base, by answers that do not belong to their prompts; never negative."""
        return self.ratios(others_of(batch)).mean().clamp(min=0)


def answer_log_probs(model: CausalModel, batch: Batch) -> Tensor:
    """Sum of log p over the learnt tokens of every sequence, [sequences] in float32."""
    hidden = hidden_states(model, batch)
    targets = batch["labels"][:, 1:]
    learnt = targets != IGNORED
    owners = _owners(batch)[:, 1:][learnt]
    logs = _token_log_probs(hidden[:, :-1][learnt], model.head_weight, targets[learnt])
    return torch.zeros(len(batch["lengths"]), device=logs.device).index_add(0, owners, logs)


def learnt_counts(batch: Batch) -> Tensor:
    """Learnt tokens of every sequence, at least 1."""
    learnt = batch["labels"] != IGNORED
    counts = torch.bincount(_owners(batch)[learnt], minlength=len(batch["lengths"]))
    return counts.clamp(min=1).float()


@contextmanager
def reference(module: nn.Module) -> Iterator[None]:
    """The network as its base is: adapter off, nothing dropped. RecipeError when there is no adapter to turn off."""
    disable = getattr(module, "disable_adapter", None)
    if disable is None:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            "preferences are learnt against the base, which is the model with its adapter off, and there is none",
            "set finetune.method: lora or qlora",
        )
    training = module.training
    module.eval()
    try:
        with disable():
            yield
    finally:
        module.train(training)


def _owners(batch: Batch) -> Tensor:
    """The number of the sequence that each token belongs to, [1, T]."""
    lengths = batch["lengths"].to(batch["input_ids"].device)
    return torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)[None]


def _token_log_probs(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """log p of each target, [N] in float32; logits are made chunk by chunk, and again for the backward pass."""
    if not torch.is_grad_enabled():
        return -token_losses(hidden, weight, targets)
    step = chunk_rows(len(targets), weight.shape[0], hidden.device.type)
    parts = [
        checkpoint(_chunk, hidden[start : start + step], weight, targets[start : start + step], use_reentrant=False)
        for start in range(0, len(targets), step)
    ]
    return torch.cat([part for part in parts if isinstance(part, Tensor)])


def _chunk(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    logits = F.linear(hidden, weight.to(hidden.dtype)).float()
    return logits.log_softmax(-1).gather(1, targets[:, None]).squeeze(1)
