"""Gradients: golden clipping, bits untouched when nothing is clipped, typed failures."""

import math

import pytest
import torch
from torch import nn

from loquela.core.errors import ErrorCode, InternalError, ProofError
from loquela.monitoring.events import EventBus
from loquela.training.contracts import GradientComputerRequest
from loquela.training.gradients import GradientComputer, backward, clip_gradients


def with_gradients(*values):
    parameters = []
    for value in values:
        parameter = nn.Parameter(torch.zeros(len(value)))
        parameter.grad = torch.tensor(value)
        parameters.append(parameter)
    return parameters


def test_clips_by_the_norm_of_all_together():
    parameters = with_gradients([3.0], [0.0, 4.0])
    measured = clip_gradients(parameters, 1.0)
    assert measured.norm.item() == 5.0
    assert measured.coefficient.item() == pytest.approx(0.2)
    assert bool(measured.finite)
    assert parameters[0].grad.tolist() == pytest.approx([0.6])
    assert parameters[1].grad.tolist() == pytest.approx([0.0, 0.8])


@pytest.mark.parametrize("limit", [None, 5.0, 100.0])
def test_below_the_limit_no_bit_changes(limit):
    parameters = with_gradients([3.0, 1e-30], [0.1 + 0.2, 3.9])
    before = [parameter.grad.clone() for parameter in parameters]
    measured = clip_gradients(parameters, limit)
    assert measured.coefficient.item() == 1.0
    assert all(torch.equal(old, new.grad) for old, new in zip(before, parameters, strict=True))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_norm_that_is_not_finite_clips_nothing(bad):
    parameters = with_gradients([3.0], [bad, 4.0])
    measured = clip_gradients(parameters, 1.0)
    assert not bool(measured.finite)
    assert parameters[0].grad.item() == 3.0


def test_no_gradient_at_all_has_norm_zero():
    assert clip_gradients([nn.Parameter(torch.zeros(2))], 1.0).norm.item() == 0.0
    parameters = with_gradients([0.0, 0.0])
    assert clip_gradients(parameters, 1.0).coefficient.item() == 1.0
    assert parameters[0].grad.tolist() == [0.0, 0.0]


def test_is_deterministic():
    torch.manual_seed(0)
    values = [torch.randn(1000).tolist() for _ in range(20)]
    runs = [clip_gradients(with_gradients(*values), 0.5).norm for _ in range(3)]
    assert runs[0].equal(runs[1]) and runs[1].equal(runs[2])


def compute(loss, parameters, clip_norm=1.0, bus=None):
    request = GradientComputerRequest(
        loss_value=loss, model_parameters=parameters, gradient_clip_norm=clip_norm, distributed=False
    )
    return GradientComputer(bus=bus).compute(request)


def test_the_component_gives_clipped_gradients_and_the_norm_before():
    weight = nn.Parameter(torch.tensor([3.0, 4.0]))
    bus, events = EventBus(), []
    bus.subscribe(events.append)
    result = compute(weight.square().sum() / 2, [weight], bus=bus)
    assert result.gradient_norm == 5.0
    assert result.clipped
    assert result.gradients[0].tolist() == pytest.approx([0.6, 0.8])
    assert result.gradients[0] is weight.grad
    assert [event.name for event in events] == [
        "gradient_computer.backward_start.v1",
        "gradient_computer.gradients_computed.v1",
        "gradient_computer.gradients_clipped.v1",
    ]


def test_the_component_says_when_nothing_was_clipped():
    weight = nn.Parameter(torch.tensor([0.3]))
    bus, events = EventBus(), []
    bus.subscribe(events.append)
    assert not compute(weight.square().sum(), [weight], bus=bus).clipped
    assert [event.name for event in events][-1] == "gradient_computer.gradients_computed.v1"


def test_without_a_bus_nothing_is_told_and_with_one_a_norm_that_is_no_number_is_text():
    bus, events = EventBus(), []
    bus.subscribe(events.append)
    clip_gradients(with_gradients([math.nan]), 1.0, bus)
    assert [(event.name, event.data) for event in events] == [
        ("gradient_computer.gradients_computed.v1", {"gradient_norm": "nan"})
    ]


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_an_explosion_is_typed(factor):
    weight = nn.Parameter(torch.tensor([1.0]))
    with pytest.raises(ProofError, match="the gradient norm is (nan|inf): the update would destroy") as caught:
        compute((weight * factor).sum(), [weight])
    assert caught.value.code is ErrorCode.GRADIENT_EXPLOSION
    assert caught.value.details["gradient_norm"] == str(factor)


def test_vanishing_is_typed():
    weight = nn.Parameter(torch.tensor([1.0]))
    with pytest.raises(ProofError, match="the gradient norm is 0: nothing would be learnt") as caught:
        compute((weight * 0.0).sum(), [weight])
    assert caught.value.code is ErrorCode.GRADIENT_VANISHING
    assert caught.value.details == {"gradient_norm": 0.0}


def test_a_failed_backward_is_typed():
    with pytest.raises(InternalError, match="the backward pass failed: .*does not require grad") as caught:
        backward(torch.tensor(1.0))
    assert caught.value.code is ErrorCode.BACKWARD_FAILED


def test_out_of_memory_passes_through():
    class Greedy(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        backward(Greedy.apply(torch.ones(1, requires_grad=True)).sum())
