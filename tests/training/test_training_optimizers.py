"""Optimizers: golden updates, decay on matrices only, state that comes back to the bit, muon against torch's."""

import math

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from loquela.core.errors import DataError, ErrorCode, InternalError, RecipeError, ResourceError
from loquela.monitoring.events import EventBus
from loquela.recipe.schema import OptimizerSection
from loquela.training.muon import Muon, check_overhead, orthogonalize, predicted_overhead
from loquela.training.optimizers import body_matrices, build_optimizer, update_error

NAMES = ["adam", "adamw", "sgd", "muon"]


class Network(nn.Module):
    """A language model in small: embedding, body with matrices of two shapes, norm, tied head."""

    def __init__(self, seed=0, tied=True):
        super().__init__()
        torch.manual_seed(seed)
        self.token_embedding = nn.Parameter(torch.randn(11, 8))
        self.position_embedding = nn.Parameter(torch.randn(5, 8))
        self.blocks = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)])
        self.up = nn.Linear(8, 24)
        self.down = nn.Linear(24, 8, bias=False)
        self.norm = nn.LayerNorm(8)
        self.head = None if tied else nn.Parameter(torch.randn(11, 8))

    @property
    def head_weight(self):
        return self.token_embedding if self.head is None else self.head

    def forward(self, tokens):
        x = self.token_embedding[tokens] + self.position_embedding[: tokens.shape[1]]
        for block in self.blocks:
            x = x + torch.tanh(block(x))
        return self.norm(x + self.down(torch.tanh(self.up(x)))) @ self.head_weight.T


def section(name, **changes):
    return OptimizerSection(name=name, **{"muon_max_overhead": 10.0, **changes})


def build(name, model, learning_rate=0.01, **changes):
    return build_optimizer(section(name, **changes), model, learning_rate, batch_tokens=1000)


def backward(model, step):
    tokens = torch.arange(10).reshape(2, 5).add(step) % 11
    logits = model(tokens)
    nn.functional.cross_entropy(logits.flatten(0, 1), tokens.roll(-1, 1).flatten()).backward()


def train(model, optimizer, steps):
    for step in steps:
        optimizer.zero_grad()
        backward(model, step)
        optimizer.step(1.0 / (step + 1))


def one(value, gradient, name, learning_rate, **changes):
    """A matrix [1, 1] and a bias [1] of the same value and gradient, after one step."""
    model = nn.Linear(1, 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)
            parameter.grad = torch.full_like(parameter, gradient)
    optimizer = build(name, model, learning_rate, **changes)
    optimizer.step(0.5)
    return model.weight.item(), model.bias.item()


def test_golden_first_updates():
    """By hand: value 2, gradient 0.5, learning rate 0.2 × factor 0.5 = 0.1, decay 0.1 on the matrix only."""
    # AdamW's first step is the sign of the gradient; the matrix also loses 0.1 * 0.1 of itself.
    assert one(2.0, 0.5, "adamw", 0.2, weight_decay=0.1) == pytest.approx((2.0 * 0.99 - 0.1, 1.9), abs=1e-6)
    # Adam's decay enters the gradient, so the first step stays the sign; a decay above the gradient turns it.
    assert one(2.0, 0.5, "adam", 0.2, weight_decay=0.1) == pytest.approx((1.9, 1.9), abs=1e-6)
    assert one(2.0, -0.5, "adam", 0.2, weight_decay=0.5) == pytest.approx((1.9, 2.1), abs=1e-6)
    # SGD: 2 - 0.1 * (0.5 + 0.1 * 2) and 2 - 0.1 * 0.5.
    assert one(2.0, 0.5, "sgd", 0.2, weight_decay=0.1) == pytest.approx((1.93, 1.95), abs=1e-6)


def test_sgd_has_momentum():
    model = nn.Linear(1, 1)
    optimizer = build("sgd", model, 0.1, momentum=0.5, weight_decay=0.0)
    start = model.bias.item()
    for _ in range(2):
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step(1.0)
    assert model.bias.item() == pytest.approx(start - 0.1 - 0.1 * 1.5, abs=1e-6)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_a_first_step_skipped_on_the_device_leaves_no_trace(name):
    """`found_inf` is how fused kernels are told; the step after the skipped one is then the first."""
    skipped, plain = Network(), Network()
    first, second = build(name, skipped), build(name, plain)
    backward(skipped, 0)
    skipped.up.weight.grad.fill_(math.nan)
    first.optimizers[name].found_inf = torch.ones(())
    first.step(1.0)
    assert all(torch.equal(a, b) for a, b in zip(skipped.parameters(), plain.parameters(), strict=True))
    first.optimizers[name].found_inf = torch.zeros(())
    for model, optimizer in ((skipped, first), (plain, second)):
        optimizer.zero_grad()
        backward(model, 1)
        optimizer.step(1.0)
    assert all(torch.equal(a, b) for a, b in zip(skipped.parameters(), plain.parameters(), strict=True))
    assert all(torch.equal(first.state_tensors()[key], value) for key, value in second.state_tensors().items())


@pytest.mark.parametrize("name", NAMES)
def test_learns(name):
    model = Network()
    optimizer = build(name, model)
    first = last = 0.0
    for step in range(30):
        optimizer.zero_grad()
        tokens = torch.arange(10).reshape(2, 5)
        loss = nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.roll(-1, 1).flatten())
        loss.backward()
        optimizer.step(1.0)
        first, last = (loss.item() if step == 0 else first), loss.item()
    assert last < 0.7 * first


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("name", NAMES)
def test_state_through_safetensors_continues_to_the_bit(name, momentum):
    def build(name, model):
        return build_optimizer(section(name, momentum=momentum), model, 0.01, batch_tokens=1000)

    straight = Network()
    optimizer = build(name, straight)
    train(straight, optimizer, range(6))

    first = Network()
    before = build(name, first)
    train(first, before, range(3))
    saved = save({key: value.contiguous() for key, value in before.state_tensors().items()})
    resumed = Network(seed=99)
    resumed.load_state_dict(first.state_dict())
    after = build(name, resumed)
    after.load_state_tensors(load(saved))
    train(resumed, after, range(3, 6))

    for (label, expected), found in zip(straight.named_parameters(), resumed.parameters(), strict=True):
        assert torch.equal(expected, found), label
    expected_state, found_state = optimizer.state_tensors(), after.state_tensors()
    assert expected_state.keys() == found_state.keys()
    assert all(torch.equal(expected_state[key], found_state[key]) for key in expected_state)


def test_loaded_state_is_a_copy():
    model = Network()
    optimizer = build("adamw", model)
    train(model, optimizer, range(1))
    saved = {key: value.clone() for key, value in optimizer.state_tensors().items()}
    kept = {key: value.clone() for key, value in saved.items()}
    optimizer.load_state_tensors(saved)
    train(model, optimizer, range(1, 3))
    assert all(torch.equal(saved[key], kept[key]) for key in saved)


def test_state_has_names():
    model = Network()
    optimizer = build("muon", model)
    assert optimizer.state_tensors() == {}
    train(model, optimizer, range(1))
    names = set(optimizer.state_tensors())
    assert {"blocks.0.weight/momentum_buffer", "token_embedding/exp_avg", "norm.bias/step"} <= names
    assert "token_embedding/momentum_buffer" not in names


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("nobody.weight/exp_avg", torch.zeros(1), "it has a state 'nobody.weight/exp_avg' for no parameter"),
        ("up.bias/exp_avg", None, r"for 'up.bias' it has \['exp_avg_sq', 'step'\], this optimizer keeps"),
        (
            "up.bias/momentum_buffer",
            torch.zeros(24),
            r"for 'up.bias' it has .*'momentum_buffer'.*, this optimizer keeps",
        ),
        ("up.bias/exp_avg", torch.zeros(3), r"'up.bias/exp_avg' has shape \(3,\), not \(24,\)"),
        ("up.bias/exp_avg", torch.tensor(0.0), r"'up.bias/exp_avg' has shape \(\), not \(24,\)"),
        ("up.bias/step", torch.zeros(24), r"'up.bias/step' has shape \(24,\), not \(\)"),
        (
            "up.bias/exp_avg",
            torch.zeros(24).double(),
            "'up.bias/exp_avg' is torch.float64, the parameter torch.float32",
        ),
    ],
)
def test_state_of_another_model_is_refused_and_changes_nothing(name, value, message):
    model = Network()
    optimizer = build("adamw", model)
    train(model, optimizer, range(1))
    kept = {key: tensor.clone() for key, tensor in optimizer.state_tensors().items()}
    state = dict(kept)
    if value is None:
        del state[name]
    else:
        state[name] = value
    with pytest.raises(DataError, match=message) as caught:
        optimizer.load_state_tensors(state)
    assert caught.value.code is ErrorCode.CHECKPOINT_INCOMPATIBLE
    now = optimizer.state_tensors()
    assert all(torch.equal(now[key], kept[key]) for key in kept)


def test_state_of_another_optimizer_is_refused():
    model = Network()
    optimizer = build("adamw", model)
    train(model, optimizer, range(1))
    for other in ("sgd", "muon"):
        with pytest.raises(DataError, match=r"it has \['exp_avg', .*, this optimizer keeps \['momentum_buffer'\]"):
            build(other, Network()).load_state_tensors(optimizer.state_tensors())


@pytest.mark.parametrize("tied", [True, False])
def test_muon_takes_the_matrices_of_the_body(tied):
    model = Network(tied=tied)
    body = [name for name, parameter in model.named_parameters() if any(parameter is p for p in body_matrices(model))]
    assert body == ["blocks.0.weight", "blocks.1.weight", "blocks.2.weight", "up.weight", "down.weight"]
    optimizer = build("muon", model)
    assert optimizer.learning_rates(0.5) == {"muon": 0.01, "adamw": 0.005}
    owned = [id(p) for made in optimizer.optimizers.values() for group in made.param_groups for p in group["params"]]
    assert sorted(owned) == sorted(id(parameter) for parameter in model.parameters())


def test_an_embedding_module_is_no_body_matrix():
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4))
    assert [parameter.shape for parameter in body_matrices(model)] == [(4, 4)]


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 8, 32), (2, 32, 8)])
def test_orthogonalize_keeps_singular_vectors_and_levels_values(shape):
    torch.manual_seed(1)
    matrices = torch.randn(shape)
    result = orthogonalize(matrices, torch.float32)
    values = torch.linalg.svdvals(result)
    assert 0.3 < values.min() and values.max() < 1.3
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    diagonal = u.transpose(1, 2) @ result @ v.transpose(1, 2)
    off = diagonal - torch.diag_embed(torch.diagonal(diagonal, dim1=1, dim2=2))
    assert off.abs().max() < 1e-4


def test_orthogonalize_of_nothing_is_nothing():
    assert torch.equal(orthogonalize(torch.zeros(1, 4, 4), torch.float32), torch.zeros(1, 4, 4))


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon of its own")
@pytest.mark.parametrize("shape", [(12, 12), (8, 20), (20, 8)])
def test_muon_agrees_with_torch(shape):
    """torch's rounds to bfloat16 (8 bits): the updates agree to a few of its units, momentum included."""
    torch.manual_seed(3)
    start = torch.randn(shape)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    mine = Muon([ours], 0.1, momentum=0.9, weight_decay=0.05)
    reference = torch.optim.Muon([theirs], lr=0.1, momentum=0.9, weight_decay=0.05)
    for _ in range(4):
        before = ours.detach().clone()
        gradient = torch.randn(shape)
        for parameter, optimizer in ((ours, mine), (theirs, reference)):
            parameter.grad = gradient.clone()
            optimizer.step()
        moved = (ours.detach() - before).norm()
        assert (ours - theirs).norm() < 0.04 * moved
        with torch.no_grad():
            theirs.copy_(ours)
    mine_buffer, their_buffer = mine.state[ours]["momentum_buffer"], reference.state[theirs]["momentum_buffer"]
    assert torch.allclose(mine_buffer, their_buffer, atol=1e-6)


def test_muon_scales_tall_matrices():
    """The update of [4n, n] is twice that of an orthogonal matrix: sqrt(rows / cols) = 2."""
    torch.manual_seed(5)
    moved = {}
    for rows in (8, 32):
        weight = nn.Parameter(torch.zeros(rows, 8))
        weight.grad = torch.linalg.qr(torch.randn(rows, 8))[0]
        Muon([weight], 1.0, momentum=0.9, weight_decay=0.0).step()
        moved[rows] = torch.linalg.svdvals(weight.detach()).mean().item()
    assert moved[32] / moved[8] == pytest.approx(2.0, rel=1e-3)


def test_predicted_overhead_by_hand():
    # One square matrix: iterations * side / tokens.
    assert predicted_overhead([(384, 384)], 0, 16_384) == pytest.approx(5 * 384 / 16_384)
    # [2, 4]: 5 * (4 * 4 * 4 + 2 * 8) = 400 FLOPs against 6 * (8 + 12) * 10 = 1200.
    assert predicted_overhead([(2, 4)], 12, 10) == pytest.approx(1 / 3)
    assert predicted_overhead([(4, 2)], 12, 10) == predicted_overhead([(2, 4)], 12, 10)


def test_overhead_above_the_limit_is_refused_with_the_numbers():
    with pytest.raises(RecipeError, match=r"muon would add 250% to every step of 512 tokens; .* allows 15%") as caught:
        check_overhead([(256, 256)], other_matrix_elements=0, batch_tokens=512, limit=0.15)
    assert caught.value.code is ErrorCode.CONFIG_INVALID
    assert "gradient_accumulation_steps 17-fold" in caught.value.remedy
    assert "train.optimizer.name: adamw" in caught.value.remedy
    needed = caught.value.details["batch_tokens_needed"]
    assert needed == 8534  # 5 * 256 / 0.15 = 8533.3
    check_overhead([(256, 256)], other_matrix_elements=0, batch_tokens=needed, limit=0.15)
    with pytest.raises(RecipeError, match="muon would add 15% to every step of 8532 tokens"):
        check_overhead([(256, 256)], other_matrix_elements=0, batch_tokens=8532, limit=0.15)


def test_build_guards_muon():
    with pytest.raises(RecipeError, match="muon would add"):
        build_optimizer(section("muon", muon_max_overhead=0.01), Network(), 0.1, batch_tokens=10)


def test_muon_without_matrices_is_refused():
    with pytest.raises(RecipeError, match="muon needs matrices") as caught:
        build("muon", nn.LayerNorm(4))
    assert "adamw" in caught.value.remedy


def test_nothing_trainable_is_refused():
    with pytest.raises(RecipeError, match="no trainable parameter"):
        build("adamw", Network().requires_grad_(False))


def test_a_parameter_without_gradient_stops_before_any_update():
    model = Network()
    optimizer = build("adamw", model)
    backward(model, 0)
    model.up.bias.grad = None
    before = [parameter.detach().clone() for parameter in model.parameters()]
    with pytest.raises(InternalError, match=r"no gradient reached up.bias and 0 other") as caught:
        optimizer.step(1.0)
    assert caught.value.code is ErrorCode.INVALID_STATE
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


def test_a_refused_update_is_typed():
    model = Network()
    optimizer = build("muon", model)
    train(model, optimizer, range(1))
    optimizer.optimizers["muon"].state[model.up.weight]["momentum_buffer"] = torch.zeros(3, 5)
    backward(model, 1)
    with pytest.raises(InternalError, match="muon could not update the parameters: ") as caught:
        optimizer.step(1.0)
    assert caught.value.code is ErrorCode.UPDATE_FAILED


def test_out_of_memory_is_a_resource_error():
    error = update_error("adamw", torch.OutOfMemoryError("CUDA out of memory"))
    assert isinstance(error, ResourceError)
    assert error.code is ErrorCode.OOM
    assert "the state of adamw does not fit in memory" in error.message


def test_trace_points():
    bus, events = EventBus(), []
    bus.subscribe(events.append)
    model = nn.Linear(2, 2)
    optimizer = build("adamw", model, 0.2)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step(0.5)
    assert events == []
    optimizer.step(0.5, bus)
    assert [event.name for event in events] == [
        "optimizer_step.optimizer_step_start.v1",
        "optimizer_step.parameters_updated.v1",
    ]
    assert events[0].data == {"learning_rate": 0.1}
    assert events[1].data == {"parameters": 2}


def test_learning_rates_follow_the_factor():
    optimizer = build("adamw", Network(), 0.4)
    assert optimizer.learning_rates(0.25) == {"adamw": pytest.approx(0.1)}
    assert math.isclose(optimizer.learning_rates(1.0)["adamw"], 0.4)
