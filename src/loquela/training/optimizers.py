"""Optimizers by name, and their state as flat named tensors.

    adam    torch.optim.Adam    weight decay added to the gradient (L2)
    adamw   torch.optim.AdamW   weight decay apart from the gradient
    sgd     torch.optim.SGD     momentum; weight decay added to the gradient
    muon    muon.Muon for the matrices of the body, AdamW for embeddings, head, norms and biases

Weight decay acts on matrices only (two or more dimensions); gains and biases never decay. Fused kernels are
used where torch has them (CPU and CUDA): one pass over the memory, the same numbers on every run.

State has names, `<parameter>/<state>`, e.g. "blocks.0.attention.qkv.weight/exp_avg", so that a checkpoint is
plain safetensors, and loading gives back every bit.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from loquela.core.errors import DataError, ErrorCode, InternalError, LoquelaError, RecipeError, ResourceError
from loquela.monitoring.events import Bus, trace
from loquela.recipe.schema import OptimizerSection
from loquela.training.memory import is_out_of_memory
from loquela.training.muon import Muon, check_overhead
from loquela.training.shards import is_share, shared_like

SEPARATOR = "/"
# A counter without shape: the one state that is not as large as its parameter.
STEP_KEY = "step"
Named = dict[str, nn.Parameter]


class OptimizerSet:
    """One or two torch optimizers that together own every trainable parameter of a model once.

    `optimizers` maps a label to an optimizer; the learning rate its groups are made with is the peak. Where the state
    is `shared_out`, reading it takes every process.
    """

    shared_out = False

    def __init__(self, parameters: Named, optimizers: dict[str, torch.optim.Optimizer]) -> None:
        self.parameters = parameters
        self.optimizers = optimizers
        self._peaks = {label: float(made.param_groups[0]["lr"]) for label, made in optimizers.items()}

    def learning_rates(self, factor: float) -> dict[str, float]:
        """The learning rate of each optimizer at a schedule factor."""
        return {label: peak * factor for label, peak in self._peaks.items()}

    @property
    def peak(self) -> float:
        """The peak learning rate of the recipe (under muon that of the AdamW part, where there is one)."""
        return list(self._peaks.values())[-1]

    def set_weight_decay(self, weight_decay: float) -> None:
        """Use another weight decay, on matrices only, as from the start."""
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["weight_decay"] = weight_decay if group["params"][0].dim() >= 2 else 0.0

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)

    def step(self, factor: float, bus: Bus | None = None) -> None:
        """Update every parameter at `factor` of the peak learning rates; trace points go to `bus` where given.

        Raises InternalError(INVALID_STATE) when a parameter has no gradient, ResourceError(OOM) when the
        state does not fit, InternalError(UPDATE_FAILED) when torch refuses the update.
        """
        rates = self.learning_rates(factor)
        if bus is not None:
            trace(bus, "OptimizerStep", "optimizer_step_start", learning_rate=max(rates.values()))
        missing = [name for name, parameter in self.parameters.items() if parameter.grad is None]
        if missing:
            raise InternalError(
                ErrorCode.INVALID_STATE,
                f"no gradient reached {missing[0]} and {len(missing) - 1} other parameters; nothing was updated",
                "make the loss depend on every parameter, or set requires_grad to False on those that stay",
                details={"parameters": list(missing)},
            )
        for label, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rates[label]
            start_momentum(optimizer)
            try:
                optimizer.step()
            except RuntimeError as error:
                raise update_error(label, error) from error
        if bus is not None:
            trace(bus, "OptimizerStep", "parameters_updated", parameters=len(self.parameters))

    def state_tensors(self) -> dict[str, Tensor]:
        """Every state tensor by name, detached, not copied; empty before the first step."""
        found: dict[str, Tensor] = {}
        for optimizer in self.optimizers.values():
            for name, parameter in self._owned(optimizer).items():
                for key, value in optimizer.state.get(parameter, {}).items():
                    if isinstance(value, Tensor):
                        found[name + SEPARATOR + key] = value.detach()
        return found

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `state_tensors` gave; the values are copied, exact to the bit.

        Raises DataError(CHECKPOINT_INCOMPATIBLE) for a name, shape or set of parameters that is not ours;
        nothing is changed then.
        """
        states: dict[str, dict[str, Tensor]] = {}
        for full_name, tensor in tensors.items():
            name, _, key = full_name.rpartition(SEPARATOR)
            if name not in self.parameters:
                raise incompatible(f"it has a state {full_name!r} for no parameter of this model")
            states.setdefault(name, {})[key] = tensor
        for optimizer in self.optimizers.values():
            for name, parameter in self._owned(optimizer).items() if states else ():
                check_state(name, parameter, states.get(name, {}), state_keys(optimizer))
        for optimizer in self.optimizers.values():
            self._load_one(optimizer, states)

    def take_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Told what was put into the parameters from outside, by an optimizer that keeps copies of its own."""

    def _owned(self, optimizer: torch.optim.Optimizer) -> Named:
        """The parameters of one optimizer by name, in the optimizer's own order."""
        names = {parameter: name for name, parameter in self.parameters.items()}
        return {names[parameter]: parameter for group in optimizer.param_groups for parameter in group["params"]}

    def _load_one(self, optimizer: torch.optim.Optimizer, states: dict[str, dict[str, Tensor]]) -> None:
        """Through torch's own door, which knows on which device each kernel wants its step counter."""
        wanted = {
            number: {key: shared_like(value, parameter).clone() for key, value in states[name].items()}
            for number, (name, parameter) in enumerate(self._owned(optimizer).items())
            if name in states
        }
        optimizer.load_state_dict({"state": wanted, "param_groups": optimizer.state_dict()["param_groups"]})


def build_optimizer(
    section: OptimizerSection, model: nn.Module, learning_rate: float, *, batch_tokens: int
) -> OptimizerSet:
    """The optimizer of a recipe for the trainable parameters of `model`.

    `learning_rate` is the peak (of the AdamW part under muon, whose matrices have `muon_learning_rate`);
    `batch_tokens` is how many tokens one process sees per optimizer step, for muon's overhead guard.
    Raises RecipeError(CONFIG_INVALID) when nothing is trainable or muon would cost too much.
    """
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if not named:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            "the model has no trainable parameter",
            "set requires_grad to True on what should be trained",
        )
    if section.name != "muon":
        return OptimizerSet(named, {section.name: _single(section, list(named.values()), learning_rate)})
    body = body_matrices(model)
    check_overhead(
        [(parameter.shape[0], parameter.shape[1]) for parameter in body],
        other_matrix_elements=head_elements(model),
        batch_tokens=batch_tokens,
        limit=section.muon_max_overhead,
    )
    chosen = set(body)
    rest = [parameter for parameter in named.values() if parameter not in chosen]
    muon = Muon(body, section.muon_learning_rate, momentum=section.momentum, weight_decay=section.weight_decay)
    optimizers: dict[str, torch.optim.Optimizer] = {"muon": muon}
    if rest:
        optimizers["adamw"] = _single(section.model_copy(update={"name": "adamw"}), rest, learning_rate)
    return OptimizerSet(named, optimizers)


def start_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Give SGD zero buffers before its first step, which is the same arithmetic as torch's own start.

    Left to itself the fused kernel takes uninitialised memory and fills it in the first step; where that step
    is skipped on the device because of a non-finite gradient, the second would read what is not there.
    """
    if not isinstance(optimizer, torch.optim.SGD) or not optimizer.param_groups[0]["momentum"]:
        return
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if optimizer.state[parameter].get("momentum_buffer") is None:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def state_keys(optimizer: torch.optim.Optimizer) -> set[str]:
    """The names of the tensors that an optimizer keeps for each parameter."""
    if isinstance(optimizer, (torch.optim.Adam, torch.optim.AdamW)):
        return {STEP_KEY, "exp_avg", "exp_avg_sq"}
    keeps_momentum = isinstance(optimizer, Muon) or optimizer.param_groups[0]["momentum"] > 0
    return {"momentum_buffer"} if keeps_momentum else set()


def check_state(name: str, parameter: Tensor, state: dict[str, Tensor], keys: set[str]) -> None:
    """DataError(CHECKPOINT_INCOMPATIBLE) unless `state` is what an optimizer keeps for `parameter`.

    Fused kernels do not look at shapes: a state of another shape would be read and written past its end.
    """
    if set(state) != keys:
        raise incompatible(f"for {name!r} it has {sorted(state)}, this optimizer keeps {sorted(keys)}")
    for key, tensor in state.items():
        shape = torch.Size() if key == STEP_KEY else parameter.shape
        if tensor.shape != shape:
            raise incompatible(f"'{name}/{key}' has shape {tuple(tensor.shape)}, not {tuple(shape)}")
        if key != STEP_KEY and tensor.dtype != parameter.dtype:
            raise incompatible(f"'{name}/{key}' is {tensor.dtype}, the parameter {parameter.dtype}")


def body_matrices(model: nn.Module) -> list[nn.Parameter]:
    """The trainable matrices that are neither embedding nor output head, in the model's order.

    An embedding is a parameter named `…embedding`, or one of an nn.Embedding.
    """
    parts = [part for part in model.modules() if isinstance(part, nn.Embedding)]
    excluded: set[Tensor] = {parameter for part in parts for parameter in part.parameters()}
    if (head := head_weight(model)) is not None:
        excluded.add(head)
    return [
        parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
        and parameter.dim() == 2
        and parameter not in excluded
        and not name.endswith("embedding")
    ]


def head_weight(model: nn.Module) -> Tensor | None:
    """The output matrix of a language model, None for a network without one."""
    found = getattr(model, "head_weight", None)
    return found if isinstance(found, Tensor) else None


def head_elements(model: nn.Module) -> int:
    """Elements of the output matrix, 0 without one."""
    head = head_weight(model)
    return 0 if head is None else head.numel()


def _single(section: OptimizerSection, parameters: list[nn.Parameter], learning_rate: float) -> torch.optim.Optimizer:
    """adam, adamw or sgd over two groups: those that decay and those that do not."""
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": section.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in parameters)
    if section.name == "sgd":
        # torch has no fused SGD for shares.
        fused = fused and not any(is_share(p) for p in parameters)
        return torch.optim.SGD(groups, lr=learning_rate, momentum=section.momentum, fused=fused)
    kind = torch.optim.Adam if section.name == "adam" else torch.optim.AdamW
    return kind(groups, lr=learning_rate, betas=(section.beta1, section.beta2), eps=section.epsilon, fused=fused)


def update_error(label: str, error: RuntimeError) -> LoquelaError:
    """OOM when the state did not fit, UPDATE_FAILED for everything else that torch refuses."""
    if is_out_of_memory(error):
        return ResourceError(
            ErrorCode.OOM,
            f"the state of {label} does not fit in memory",
            "choose a smaller model.size, train.optimizer.name: sgd, or a machine with more memory",
        )
    return InternalError(
        ErrorCode.UPDATE_FAILED,
        f"{label} could not update the parameters: {error}",
        "resume from the last checkpoint; report this if it comes again",
    )


def incompatible(what: str) -> DataError:
    """The error for a saved state that belongs to another model or optimizer."""
    return DataError(
        ErrorCode.CHECKPOINT_INCOMPATIBLE,
        f"the saved optimizer state does not fit: {what}",
        "resume with the recipe that the checkpoint was made with, or start a new run",
    )
