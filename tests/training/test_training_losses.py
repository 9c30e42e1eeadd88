"""Losses: golden values, gradients against plain autograd, stability, messages, and the sum for the loop."""

import math

import pytest
import torch
import torch.nn.functional as F

from loquela.core.errors import ErrorCode, InternalError, ProofError
from loquela.models.build import build_model
from loquela.models.config import RecurrentConfig, TransformerConfig
from loquela.monitoring.events import EventBus
from loquela.recipe.schema import LossSection
from loquela.training.contracts import LossCalculatorRequest
from loquela.training.losses import LossCalculator, loss_divisor, token_losses, training_loss

LOSSES = ["cross_entropy", "mse", "focal"]


def tiny(vocab=17, context=6):
    return build_model(
        TransformerConfig(
            vocab_size=vocab,
            num_layers=1,
            d_model=16,
            num_heads=2,
            num_kv_heads=2,
            head_dim=8,
            dim_feedforward=24,
            max_sequence_length=context,
        ),
        seed=3,
    )


def ragged(rows=8, context=6, vocab=17):
    torch.manual_seed(4)
    tokens = torch.randint(0, vocab, (rows, context))
    targets = torch.randint(0, vocab, (rows, context))
    for row in range(rows):
        targets[row, : row % context] = -100
    return tokens, targets


def compute(logits, targets, name="cross_entropy", reduction="mean", gamma=2.0):
    request = LossCalculatorRequest(predictions=logits, targets=targets, loss_function=name, reduction=reduction)
    return LossCalculator(gamma).compute(request)


# softmax of [0, ln 3] is [1/4, 3/4]; the targets are 1 (p = 3/4) and 0 (p = 1/4); the third is ignored.
LOGITS = torch.tensor([[0.0, math.log(3)], [0.0, math.log(3)], [5.0, 5.0]])
TARGETS = torch.tensor([1, 0, -100])
GOLDEN = {
    "cross_entropy": [math.log(4 / 3), math.log(4)],
    "mse": [2 * 0.25**2, 2 * 0.75**2],
    "focal": [0.25**2 * math.log(4 / 3), 0.75**2 * math.log(4)],
}


@pytest.mark.parametrize("name", LOSSES)
def test_golden_values(name):
    first, second = GOLDEN[name]
    assert compute(LOGITS, TARGETS, name, "mean").loss_value == pytest.approx((first + second) / 2, abs=1e-6)
    assert compute(LOGITS, TARGETS, name, "sum").loss_value == pytest.approx(first + second, abs=1e-6)
    each = compute(LOGITS, TARGETS, name, "none")
    assert each.loss_value == pytest.approx((first + second) / 2, abs=1e-6)
    assert each.per_sample_loss.tolist() == pytest.approx([first, second, 0.0], abs=1e-6)
    assert compute(LOGITS, TARGETS, name).per_sample_loss is None


def test_focal_without_gamma_is_cross_entropy():
    logits, targets = torch.randn(5, 7), torch.tensor([0, 6, 3, -100, 2])
    assert torch.allclose(token_losses(logits, targets, "focal", 0.0), token_losses(logits, targets, "cross_entropy"))


def test_per_sample_loss_has_the_shape_of_the_targets():
    logits, targets = torch.randn(2, 3, 7), torch.randint(0, 7, (2, 3))
    assert compute(logits, targets, reduction="none").per_sample_loss.shape == (2, 3)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_sure_predictions_are_stable(name, gamma):
    """Logits of ±300: right and wrong at the limit of float32, values and gradients finite."""
    logits = torch.tensor([[300.0, -300.0], [300.0, -300.0]], requires_grad=True)
    losses = token_losses(logits, torch.tensor([0, 1]), name, gamma)
    losses.sum().backward()
    assert torch.isfinite(losses).all() and torch.isfinite(logits.grad).all()
    assert losses[0] == 0.0
    assert losses[1].item() == pytest.approx(2.0 if name == "mse" else 600.0)


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_logits_are_summed_in_float32(name):
    logits = torch.randn(6, 50).bfloat16()
    targets = torch.randint(0, 50, (6,))
    losses = token_losses(logits, targets, name)
    assert losses.dtype == torch.float32
    assert torch.equal(losses, token_losses(logits.float(), targets, name))


@pytest.mark.parametrize("name", LOSSES)
def test_training_loss_is_the_sum_with_the_gradients_of_plain_autograd(name):
    tokens, targets = ragged()
    section = LossSection(name=name, focal_gamma=1.5)
    model, plain = tiny(), tiny()
    loss = training_loss(section, model, tokens, targets)
    loss.backward()
    expected = token_losses(plain(tokens).flatten(0, 1), targets.flatten(), name, 1.5).sum()
    expected.backward()
    assert loss.dtype == torch.float32 and loss.shape == ()
    assert torch.allclose(loss, expected, rtol=1e-5)
    for (label, ours), theirs in zip(model.named_parameters(), plain.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5), label


@pytest.mark.parametrize("name", ["mse", "focal"])
def test_chunks_change_nothing(name, monkeypatch):
    tokens, targets = ragged()
    section = LossSection(name=name)
    whole, cut = tiny(), tiny()
    training_loss(section, whole, tokens, targets).backward()
    monkeypatch.setattr("loquela.training.losses.chunk_rows", lambda *_: 7)
    training_loss(section, cut, tokens, targets).backward()
    for ours, theirs in zip(whole.parameters(), cut.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("size", [4, 2, 1, 3])
def test_accumulation_changes_nothing(name, size):
    """1×8, 2×4, 4×2, 8×1 and ragged cuts of one global batch have the same gradients, labels being ragged too."""
    tokens, targets = ragged()
    section = LossSection(name=name)
    divisor = loss_divisor(section, int((targets != -100).sum()))

    def gradients(rows):
        model = tiny()
        for micro_tokens, micro_targets in zip(tokens.split(rows), targets.split(rows), strict=True):
            (training_loss(section, model, micro_tokens, micro_targets) / divisor).backward()
        return [parameter.grad for parameter in model.parameters()]

    for ours, theirs in zip(gradients(8), gradients(size), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("family", ["transformer", "lstm"])
def test_a_share_without_rows_gives_zero_gradients(family):
    small = RecurrentConfig(family="lstm", vocab_size=17, num_layers=1, d_model=8, max_sequence_length=6)
    model = tiny() if family == "transformer" else build_model(small, seed=1)
    nothing = torch.empty(0, 6, dtype=torch.int64)
    loss = training_loss(LossSection(), model, nothing, nothing)
    loss.backward()
    assert loss.item() == 0.0
    assert all(torch.count_nonzero(parameter.grad) == 0 for parameter in model.parameters())


def test_divisor_follows_the_reduction():
    assert loss_divisor(LossSection(reduction="mean"), 40) == 40.0
    assert loss_divisor(LossSection(reduction="none"), 40) == 40.0
    assert loss_divisor(LossSection(reduction="sum"), 40) == 1.0
    assert loss_divisor(LossSection(reduction="mean"), 0) == 1.0


@pytest.mark.parametrize(
    ("logits", "targets", "message"),
    [
        (torch.zeros(3, 4), torch.zeros(2, dtype=torch.int64), r"logits \(3, 4\) do not fit torch.int64 targets \(2,"),
        (torch.zeros(4), torch.tensor(1), r"logits \(4,\) do not fit"),
        (torch.zeros(2, 4), torch.zeros(2), r"do not fit torch.float32 targets"),
        (torch.zeros(2, 4), torch.tensor([-100, -100]), "no target to compute a loss of: all are ignored"),
        (torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), "no target to compute a loss of"),
        (torch.zeros(2, 4), torch.tensor([1, 4]), "targets run from 1 to 4, outside the 4 classes"),
        (torch.zeros(2, 4), torch.tensor([-1, 2]), "targets run from -1 to 2, outside the 4 classes"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(logits, targets, message):
    with pytest.raises(InternalError, match=message) as caught:
        compute(logits, targets)
    assert caught.value.code is ErrorCode.SHAPE_MISMATCH
    assert caught.value.details["predictions"] == list(logits.shape)


@pytest.mark.parametrize("name", LOSSES)
def test_nan_is_detected(name):
    logits = torch.zeros(3, 4)
    logits[1, 2] = math.nan
    with pytest.raises(ProofError, match="the loss is NaN: 1 of 3 tokens, the first at 1; 1 logits are NaN") as caught:
        compute(logits, torch.tensor([0, 1, 2]), name)
    assert caught.value.code is ErrorCode.NAN_DETECTED
    assert caught.value.details["nan_losses"] == 1


def test_infinity_is_detected():
    logits = torch.zeros(3, 4)
    logits[2, 3] = -math.inf
    with pytest.raises(
        ProofError, match="the loss is infinite: 1 of 3 tokens, the first at 2; .* 1 infinite"
    ) as caught:
        compute(logits, torch.tensor([0, 1, 3]))
    assert caught.value.code is ErrorCode.INF_DETECTED


def test_a_sum_that_overflows_is_detected():
    with pytest.raises(ProofError, match="the loss is infinite"):
        compute(torch.tensor([[3e38, 0.0], [3e38, 0.0]]), torch.tensor([1, 1]), reduction="sum")


def test_a_masked_class_is_finite_but_not_stable():
    logits = torch.tensor([[0.0, 0.0, -math.inf]])
    result = compute(logits, torch.tensor([0]))
    assert result.loss_value == pytest.approx(math.log(2))
    assert not result.numerical_stable
    assert compute(torch.zeros(1, 3), torch.tensor([0])).numerical_stable
    assert compute(torch.full((1, 3), 3e38), torch.tensor([0])).numerical_stable


def test_trace_points():
    bus, events = EventBus(), []
    bus.subscribe(events.append)
    request = LossCalculatorRequest(predictions=torch.zeros(1, 2), targets=torch.tensor([1]))
    LossCalculator(bus=bus).compute(request)
    tokens, targets = ragged()
    training_loss(LossSection(), tiny(), tokens, targets, bus)
    names = ["loss_calculator.loss_computation_start.v1", "loss_calculator.loss_computed.v1"]
    assert [event.name for event in events] == names * 2
    assert events[1].data == {
        "loss_function": "cross_entropy",
        "loss": pytest.approx(math.log(2)),
        "numerical_stable": True,
    }


def test_agrees_with_torch():
    logits, targets = torch.randn(20, 9), torch.randint(0, 9, (20,))
    assert compute(logits, targets).loss_value == pytest.approx(F.cross_entropy(logits, targets).item(), rel=1e-6)
    squared = F.mse_loss(logits.softmax(1), F.one_hot(targets, 9).float()).item() * 9
    assert compute(logits, targets, "mse").loss_value == pytest.approx(squared, rel=1e-6)
