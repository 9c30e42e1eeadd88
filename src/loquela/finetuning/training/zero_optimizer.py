"""The recipe's optimizer as DeepSpeed drives it, with a state that is read and set like everybody's: whole, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from loquela.core.extras import require
from loquela.finetuning.training.zero import EXTRA, PURPOSE, ZeroSpread
from loquela.monitoring.events import Bus, trace
from loquela.training.optimizers import SEPARATOR, STEP_KEY, OptimizerSet, check_state, incompatible, state_keys
from loquela.training.shards import PART, shape_of

FRAGMENTS = "deepspeed.utils"


class _Access(Protocol):
    """DeepSpeed's functions for what it has taken apart; the full ones are collectives."""

    def safe_get_full_optimizer_state(self, parameter: Tensor, key: str) -> Tensor: ...

    def safe_set_full_optimizer_state(self, parameter: Tensor, value: Tensor, key: str) -> None: ...

    def safe_set_local_optimizer_state(self, parameter: Tensor, value: Tensor, key: str) -> None: ...

    def safe_set_full_fp32_param(self, parameter: Tensor, value: Tensor) -> None: ...

    def safe_set_local_fp32_param(self, parameter: Tensor, value: Tensor) -> None: ...


class ZeroOptimizerSet(OptimizerSet):
    """One optimizer under DeepSpeed's engine."""

    shared_out = True

    def __init__(self, plain: OptimizerSet, spread: ZeroSpread) -> None:
        super().__init__(plain.parameters, plain.optimizers)
        self.spread = spread
        self.client = next(iter(plain.optimizers.values()))
        self._access = _access()

    def zero_grad(self) -> None:
        """The engine drops gradients with every step."""

    def step(self, factor: float, bus: Bus | None = None) -> None:
        """Clip and update at `factor` of the peak learning rate."""
        rate = next(iter(self.learning_rates(factor).values()))
        if bus is not None:
            trace(bus, "OptimizerStep", "optimizer_step_start", learning_rate=rate)
        for group in self.client.param_groups:
            group["lr"] = rate
        self.spread.engine.step()
        if bus is not None:
            trace(bus, "OptimizerStep", "parameters_updated", parameters=len(self.parameters))

    def state_tensors(self) -> dict[str, Tensor]:
        """Every state tensor by name, whole; a collective. Empty before the first step."""
        counters = {float(state[STEP_KEY]) for state in self.client.state.values() if STEP_KEY in state}
        if not counters:
            return {}
        self._link()
        found: dict[str, Tensor] = {}
        for name, parameter in self.parameters.items():
            for key in sorted(self._keys()):
                found[name + SEPARATOR + key] = self._access.safe_get_full_optimizer_state(parameter, key).clone()
            found[name + SEPARATOR + STEP_KEY] = torch.tensor(max(counters))
        return found

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `state_tensors` of any strategy gave; DataError(CHECKPOINT_INCOMPATIBLE)."""
        states: dict[str, dict[str, Tensor]] = {}
        for full_name, tensor in tensors.items():
            name, _, key = full_name.rpartition(SEPARATOR)
            if name not in self.parameters:
                raise incompatible(f"it has a state {full_name!r} for no parameter of this model")
            states.setdefault(name, {})[key] = tensor
        for name, parameter in self.parameters.items() if states else ():
            like = torch.empty(shape_of(parameter), dtype=parameter.dtype, device="meta")
            check_state(name, like, states.get(name, {}), state_keys(self.client))
        counters = [float(state[STEP_KEY]) for state in states.values() if STEP_KEY in state]
        if not counters:
            return
        self._make_states(max(counters))
        for name, state in states.items():
            for key in self._keys():
                self._set_state(self.parameters[name], state[key], key)

    def take_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Go on from these weights, which were put into the network: DeepSpeed updates copies of its own."""
        for name, parameter in self.parameters.items():
            value = weights[name].to(parameter.device, torch.float32)
            if hasattr(parameter, PART):
                self._access.safe_set_local_fp32_param(parameter, self._own(parameter, value))
            else:
                self._access.safe_set_full_fp32_param(parameter, value)

    def _keys(self) -> set[str]:
        return state_keys(self.client) - {STEP_KEY}

    def _set_state(self, parameter: nn.Parameter, value: Tensor, key: str) -> None:
        held = value.to(parameter.device)
        if hasattr(parameter, PART):
            self._access.safe_set_local_optimizer_state(parameter, self._own(parameter, held), key)
        else:
            self._access.safe_set_full_optimizer_state(parameter, held, key)

    def _own(self, parameter: nn.Parameter, value: Tensor) -> Tensor:
        """This process's part of a whole value: flat, cut in equal parts, zeros behind the last."""
        size = int(getattr(parameter, "ds_tensor").numel())  # noqa: B009
        flat = torch.zeros(size * self.spread.group.world_size, dtype=value.dtype, device=value.device)
        flat[: value.numel()] = value.flatten()
        return flat.narrow(0, size * self.spread.group.rank, size)

    def _make_states(self, steps: float) -> None:
        """States as they are after the first step, in the optimizer's own memory, and known to DeepSpeed."""
        zero, last = self.spread.engine.optimizer, self.spread.options.stage == 3
        for flat in zero.fp32_partitioned_groups_flat if last else zero.single_partition_of_fp32_groups:
            state = self.client.state[flat]
            for key in self._keys():
                state.setdefault(key, torch.zeros_like(flat.data))
            state[STEP_KEY] = torch.tensor(steps)
        self._link()

    def _link(self) -> None:
        """Make DeepSpeed look at the states of every group again: it looked once, when only the first had any."""
        if self.spread.options.stage < 3:
            zero = self.spread.engine.optimizer
            zero._hp_optimizer_states_linked = False
            zero._lazy_init_hp_params_optimizer_state()


def _access() -> _Access:
    made: _Access = require(FRAGMENTS, extra=EXTRA, purpose=PURPOSE)
    return made
