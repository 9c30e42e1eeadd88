"""The OptimizerStep component: the same update as the set's own step, state in and out, nothing half done."""

import pytest
import torch
from torch import nn

from loquela.core.errors import DataError, ErrorCode
from loquela.monitoring.events import EventBus
from loquela.recipe.schema import OptimizerSection
from loquela.training.contracts import OptimizerStepRequest
from loquela.training.optimizer_step import OptimizerStep
from loquela.training.optimizers import build_optimizer


def layer():
    torch.manual_seed(0)
    return nn.Linear(4, 3)


def build(model, name="adamw", weight_decay=0.1):
    section = OptimizerSection(name=name, weight_decay=weight_decay, muon_max_overhead=10)
    return build_optimizer(section, model, 0.5, batch_tokens=100)


def gradients(seed):
    torch.manual_seed(seed)
    return [torch.randn(3, 4), torch.randn(3)]


def request(seed, state, learning_rate=0.1, weight_decay=0.1):
    return OptimizerStepRequest(
        gradients=gradients(seed), optimizer_state=state, learning_rate=learning_rate, weight_decay=weight_decay
    )


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "muon"])
def test_is_the_same_as_stepping_directly(name):
    direct, through = layer(), layer()
    optimizer = build(direct, name)
    bus, events = EventBus(), []
    bus.subscribe(events.append)
    component = OptimizerStep(build(through, name, weight_decay=0.7), bus)
    state = {}
    for seed in range(3):
        for parameter, gradient in zip(direct.parameters(), gradients(seed), strict=True):
            parameter.grad = gradient
        optimizer.step(0.1 / 0.5)
        result = component.update(request(seed, state))
        state = result.optimizer_state
        assert result.parameters_updated
        assert result.learning_rate_used == 0.1
    assert all(torch.equal(a, b) for a, b in zip(direct.parameters(), through.parameters(), strict=True))
    assert [event.name for event in events][:2] == [
        "optimizer_step.optimizer_step_start.v1",
        "optimizer_step.parameters_updated.v1",
    ]


def test_biases_do_not_decay():
    model = layer()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    zeros = OptimizerStepRequest(
        gradients=[torch.zeros(3, 4), torch.zeros(3)], optimizer_state={}, learning_rate=0.1, weight_decay=0.5
    )
    OptimizerStep(build(model, weight_decay=0.0)).update(zeros)
    assert torch.allclose(model.weight, before[0] * 0.95)
    assert torch.equal(model.bias, before[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gradients": [torch.zeros(3, 4)]}, "1 gradients came for 2 parameters"),
        ({"gradients": [torch.zeros(3, 4), torch.zeros(4)]}, r"the gradient of bias has shape \(4,\), not \(3,\)"),
        ({"optimizer_state": {"bias/other": torch.zeros(3)}}, "the saved optimizer state does not fit"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(change, message):
    model = layer()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    bad = request(0, {})
    for name, value in change.items():
        setattr(bad, name, value)
    with pytest.raises(DataError, match=f"the parameters were not updated: .*{message}") as caught:
        OptimizerStep(build(model)).update(bad)
    assert caught.value.code is ErrorCode.INVALID_STATE
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
