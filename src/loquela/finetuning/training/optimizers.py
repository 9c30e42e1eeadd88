"""The optimizer of a fine-tuning over what is trained, its state by name, and whether it is what was asked for.

adamw, sgd           torch's own, fused
adafactor            torch.optim.Adafactor: factored second moments, little memory
adamw_8bit           bitsandbytes, moments in 8 bits
paged_adamw_8bit     the same in memory that a CUDA device shares with the host
paged_adamw_32bit
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.extras import require
from loquela.recipe.finetune_section import FinetuneSection
from loquela.recipe.schema import TrainSection
from loquela.training.optimizers import SEPARATOR, Named, OptimizerSet, build_optimizer, incompatible
from loquela.training.shards import shared_like

BITSANDBYTES = {
    "adamw_8bit": "AdamW8bit",
    "paged_adamw_8bit": "PagedAdamW8bit",
    "paged_adamw_32bit": "PagedAdamW32bit",
}


class ForeignOptimizerSet(OptimizerSet):
    """One optimizer whose state has shapes and counters of its own."""

    def state_tensors(self) -> dict[str, Tensor]:
        """Every state tensor by name; counters as int64 without a shape."""
        found: dict[str, Tensor] = {}
        for optimizer in self.optimizers.values():
            for name, parameter in self._owned(optimizer).items():
                for key, value in optimizer.state.get(parameter, {}).items():
                    if isinstance(value, Tensor):
                        found[name + SEPARATOR + key] = value.detach()
                    elif isinstance(value, int):
                        found[name + SEPARATOR + key] = torch.tensor(value, dtype=torch.int64)
        return found

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `state_tensors` gave, exact to the bit.

        DataError(CHECKPOINT_INCOMPATIBLE) for a state of another parameter, or one that a parameter lacks.
        """
        states: dict[str, dict[str, Tensor | int]] = {}
        for full_name, tensor in tensors.items():
            name, _, key = full_name.rpartition(SEPARATOR)
            if name not in self.parameters:
                raise incompatible(f"it has a state {full_name!r} for no parameter of this model")
            counter = tensor.dtype == torch.int64 and tensor.dim() == 0
            shared = shared_like(tensor, self.parameters[name])
            states.setdefault(name, {})[key] = int(tensor) if counter else shared.clone()
        for optimizer in self.optimizers.values():
            owned = self._owned(optimizer)
            lacking = sorted(set(owned) - set(states))
            if states and lacking:
                raise incompatible(f"it has no state for {lacking[0]!r}")
            wanted = {number: states[name] for number, name in enumerate(owned) if name in states}
            optimizer.load_state_dict({"state": wanted, "param_groups": optimizer.state_dict()["param_groups"]})


def build(section: FinetuneSection, train: TrainSection, model: nn.Module, device: str) -> OptimizerSet:
    """The optimizer of the recipe over every parameter that learns.

    Raises RecipeError(CONFIG_INVALID) when nothing learns or the optimizer would not be what its name says on this
    device, ResourceError(MISSING_EXTRA) without bitsandbytes.
    """
    if section.optimizer in ("adamw", "sgd"):
        return build_optimizer(train.optimizer, model, section.learning_rate, batch_tokens=1)
    check_effective(section, device)
    named: Named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    groups = [
        {"params": [p for p in named.values() if p.dim() >= 2], "weight_decay": section.weight_decay},
        {"params": [p for p in named.values() if p.dim() < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    made: torch.optim.Optimizer
    if section.optimizer == "adafactor":
        made = torch.optim.Adafactor(groups, lr=section.learning_rate)
    else:
        bitsandbytes = require("bitsandbytes", extra="finetune", purpose=f"optimizer: {section.optimizer}")
        kind = getattr(bitsandbytes.optim, BITSANDBYTES[section.optimizer])
        made = kind(groups, lr=section.learning_rate, betas=(train.optimizer.beta1, train.optimizer.beta2))
    return ForeignOptimizerSet(named, {section.optimizer: made})


def check_effective(section: FinetuneSection, device: str) -> None:
    """RecipeError(CONFIG_INVALID) for a paged optimizer where there is no memory to page to."""
    if section.optimizer.startswith("paged") and device != "cuda":
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"finetune.optimizer: {section.optimizer} pages between a CUDA device and the host, and the device is "
            f"{device}: nothing would be paged",
            f"set finetune.optimizer: {section.optimizer.removeprefix('paged_').replace('_32bit', '')}",
        )
