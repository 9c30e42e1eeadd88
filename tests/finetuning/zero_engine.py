"""One rank of a small training under DeepSpeed's engine, compared with torch's own; torchrun gives stage and result.

Two groups of parameters, sizes that no number of processes divides, and an output matrix read outside its layer.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from loquela.finetuning.training.zero import ZeroSpread, engage
from loquela.finetuning.training.zero_optimizer import ZeroOptimizerSet
from loquela.recipe.distributed_section import DeepSpeedOptions
from loquela.recipe.schema import OptimizerSection
from loquela.training.distributed import Group
from loquela.training.optimizers import OptimizerSet, build_optimizer
from loquela.training.shards import put, whole

ROWS = torch.randint(0, 13, (6, 4, 6), generator=torch.Generator().manual_seed(5))
TOKENS = 20


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(13, 7)
        self.up = nn.Linear(7, 9)
        self.norm = nn.LayerNorm(9)
        self.down = nn.Linear(9, 7, bias=False)
        self.head = nn.Linear(7, 13, bias=False)

    def loss(self, ids: Tensor) -> Tensor:
        hidden = self.down(torch.tanh(self.norm(self.up(self.embedding(ids[:, :-1])))))
        logits = F.linear(hidden, self.head.weight).flatten(0, 1)
        return F.cross_entropy(logits, ids[:, 1:].flatten(), reduction="sum") / TOKENS


class Run:
    """A network under the engine."""

    def __init__(self, stage: int, group: Group) -> None:
        self.net = Net()
        section = SimpleNamespace(batch_size=2, gradient_accumulation_steps=2, gradient_clip_norm=1.0)
        model = SimpleNamespace(module=self.net, facts=SimpleNamespace(hidden_size=1))
        plain = optimizer_of(self.net)
        client = next(iter(plain.optimizers.values()))
        self.spread: ZeroSpread = engage(model, client, section, DeepSpeedOptions(stage=stage), group, "cpu")
        self.optimizer = ZeroOptimizerSet(plain, self.spread)
        self.rank = group.rank

    def train(self, steps: range, *, drops: bool = False) -> None:
        """With `drops`, every step is computed once more before, and thrown away."""
        for step in steps:
            for dropped in (True, False) if drops else (False,):
                micro = ROWS[step].split(2)
                for number, rows in enumerate(micro):
                    own = rows[self.rank : self.rank + 1]
                    value = self.spread.within(lambda own=own: self.net.loss(own))
                    self.spread.add_gradients(value, last=number == len(micro) - 1)
                self.spread.gradient_norm()
                if dropped:
                    self.spread.drop_step()
                else:
                    self.optimizer.step(1.0)

    def take(self, saved: dict[str, dict[str, Tensor]]) -> None:
        for name, parameter in self.net.named_parameters():
            put(parameter, saved["weights"][name])
        self.optimizer.take_weights(saved["weights"])
        self.optimizer.load_state_tensors(saved["state"])

    def saved(self) -> dict[str, dict[str, Tensor]]:
        weights = {name: whole(parameter).clone() for name, parameter in self.net.named_parameters()}
        return {"weights": weights, "state": self.optimizer.state_tensors()}


def optimizer_of(net: nn.Module) -> OptimizerSet:
    return build_optimizer(OptimizerSection(name="adamw", weight_decay=0.1), net, 1e-2, batch_tokens=1)


def trained_by_torch(steps: int) -> dict[str, Tensor]:
    net = Net()
    optimizer = optimizer_of(net)
    for step in range(steps):
        optimizer.zero_grad()
        net.loss(ROWS[step]).backward()
        torch.nn.utils.clip_grad_norm_(list(net.parameters()), 1.0)
        optimizer.step(1.0)
    return {name: parameter.detach() for name, parameter in net.named_parameters()}


def same(left: dict[str, dict[str, Tensor]], right: dict[str, dict[str, Tensor]]) -> bool:
    return all(
        left[kind].keys() == right[kind].keys() and all(torch.equal(left[kind][k], right[kind][k]) for k in left[kind])
        for kind in left
    )


def main(stage: int, result: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    group = Group(dist.get_rank(), 2, dist.get_rank(), 2)
    straight, half, resumed, dropping = (Run(stage, group) for _ in range(4))
    straight.train(range(4))
    expected, by_torch = straight.saved(), trained_by_torch(4)
    half.train(range(2))
    middle = half.saved()
    resumed.take(middle)
    resumed.train(range(2, 4))
    dropping.train(range(4), drops=True)
    found: dict[str, float | bool] = {
        "apart": max(float((expected["weights"][k] - by_torch[k]).abs().max()) for k in by_torch),
        "resumed": same(expected, resumed.saved()),
        "dropped": same(expected, dropping.saved()),
    }
    straight.take(middle)
    straight.train(range(2, 4))
    found["rolled_back"] = same(expected, straight.saved())
    straight.spread.leave()
    left = {name: parameter.detach() for name, parameter in straight.net.named_parameters()}
    found["left"] = all(torch.equal(left[name], expected["weights"][name]) for name in left)
    if group.leads:
        result.write_text(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
