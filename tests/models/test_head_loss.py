"""The chunked head loss is F.cross_entropy on the whole logits: value, both gradients, masks, huge logits."""

import pytest
import torch
import torch.nn.functional as F

from loquela.models import head_loss, kernels
from loquela.models.head_loss import chunked_cross_entropy, token_losses


@pytest.fixture(params=["torch", "onednn"])
def kernel(request):
    if kernels.use_linear_kernel(request.param) != request.param:
        pytest.skip("this PyTorch has no oneDNN")
    yield request.param
    kernels.use_linear_kernel("torch")


def inputs(rows, width, vocab_size, dtype=torch.float32, scale=1.0):
    generator = torch.Generator().manual_seed(rows + vocab_size)
    hidden = (torch.randn(rows, width, generator=generator, dtype=dtype) * scale).requires_grad_()
    weight = torch.randn(vocab_size, width, generator=generator, dtype=dtype).requires_grad_()
    targets = torch.randint(vocab_size, (rows,), generator=generator)
    return hidden, weight, targets


def reference(hidden, weight, targets, factor=1.0):
    double_hidden, double_weight = hidden.detach().double().requires_grad_(), weight.detach().double().requires_grad_()
    loss = F.cross_entropy(double_hidden @ double_weight.t(), targets, reduction="sum")
    (loss * factor).backward()
    return loss.detach(), double_hidden.grad, double_weight.grad


@pytest.mark.parametrize(("rows", "vocab_size"), [(1, 1), (7, 2), (33, 17), (100, 257), (130, 1009)])
def test_float64_equals_cross_entropy(monkeypatch, rows, vocab_size):
    monkeypatch.setattr(head_loss, "CHUNK_ELEMENTS_CPU", 40 * vocab_size)
    hidden, weight, targets = inputs(rows, 12, vocab_size, torch.float64)
    expected, hidden_gradient, weight_gradient = reference(hidden, weight, targets, 0.37)
    loss = chunked_cross_entropy(hidden, weight, targets)
    (loss * 0.37).backward()
    torch.testing.assert_close(loss.detach(), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(hidden.grad, hidden_gradient, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(weight.grad, weight_gradient, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("rows", "vocab_size"), [(32, 31), (100, 257), (300, 8001)])
def test_float32_kernels_equal_float64_within_rounding(kernel, monkeypatch, rows, vocab_size):
    monkeypatch.setattr(head_loss, "CHUNK_ELEMENTS_CPU", 64 * vocab_size)
    hidden, weight, targets = inputs(rows, 16, vocab_size)
    targets[3] = -100
    expected, hidden_gradient, weight_gradient = reference(hidden, weight, targets)
    loss = chunked_cross_entropy(hidden, weight, targets)
    loss.backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.detach().double(), expected, rtol=2e-6, atol=1e-5)
    torch.testing.assert_close(hidden.grad.double(), hidden_gradient, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(weight.grad.double(), weight_gradient, rtol=1e-4, atol=1e-5)


def test_a_chunk_that_is_ignored_whole_adds_nothing(kernel, monkeypatch):
    monkeypatch.setattr(head_loss, "CHUNK_ELEMENTS_CPU", 32 * 11)
    hidden, weight, targets = inputs(96, 8, 11)
    targets[32:64] = -100
    expected, hidden_gradient, weight_gradient = reference(hidden, weight, targets)
    loss = chunked_cross_entropy(hidden, weight, targets)
    loss.backward()
    torch.testing.assert_close(loss.detach().double(), expected, rtol=2e-6, atol=1e-5)
    assert hidden.grad[32:64].count_nonzero() == 0
    torch.testing.assert_close(hidden.grad.double(), hidden_gradient, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(weight.grad.double(), weight_gradient, rtol=1e-4, atol=1e-5)


def test_every_row_ignored_is_zero_with_zero_gradients(kernel):
    hidden, weight, targets = inputs(40, 8, 11)
    targets[:] = -100
    loss = chunked_cross_entropy(hidden, weight, targets)
    loss.backward()
    assert loss.item() == 0.0
    assert hidden.grad.count_nonzero() == 0
    assert weight.grad.count_nonzero() == 0


def test_another_ignore_index(kernel):
    hidden, weight, targets = inputs(40, 8, 11)
    expected = F.cross_entropy(hidden @ weight.t(), targets, reduction="sum", ignore_index=5)
    torch.testing.assert_close(chunked_cross_entropy(hidden, weight, targets, ignore_index=5), expected)


def test_logits_of_ten_thousand_stay_finite(kernel):
    hidden, weight, targets = inputs(64, 8, 101, scale=5e3)
    logits = hidden.detach() @ weight.detach().t()
    assert logits.abs().max() > 1e4
    expected, hidden_gradient, _ = reference(hidden, weight, targets)
    loss = chunked_cross_entropy(hidden, weight, targets)
    loss.backward()
    torch.testing.assert_close(loss.detach().double(), expected, rtol=1e-5, atol=1e-2)
    torch.testing.assert_close(hidden.grad.double(), hidden_gradient, rtol=1e-3, atol=1e-3)


def test_token_losses_are_those_of_the_loss(kernel):
    hidden, weight, targets = inputs(70, 8, 33)
    targets[::7] = -100
    expected = F.cross_entropy(hidden.detach() @ weight.detach().t(), targets, reduction="none")
    losses = token_losses(hidden, weight, targets)
    assert not losses.requires_grad
    torch.testing.assert_close(losses, expected)
    with torch.no_grad():
        torch.testing.assert_close(chunked_cross_entropy(hidden, weight, targets), expected.sum())


def test_a_frozen_head_gets_no_gradient(kernel):
    hidden, weight, targets = inputs(64, 8, 33)
    weight.requires_grad_(False)
    _expected, hidden_gradient, _ = reference(hidden, weight, targets)
    chunked_cross_entropy(hidden, weight, targets).backward()
    assert weight.grad is None
    torch.testing.assert_close(hidden.grad.double(), hidden_gradient, rtol=1e-4, atol=1e-5)


def test_repeated_calls_give_equal_bits(kernel):
    results = []
    for _ in range(3):
        hidden, weight, targets = inputs(256, 32, 515)
        loss = chunked_cross_entropy(hidden, weight, targets)
        loss.backward()
        results.append((loss.detach(), hidden.grad, weight.grad))
    for later in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], later, strict=True))


def test_bfloat16_autocast_sums_in_float32():
    hidden, weight, targets = inputs(64, 16, 50)
    expected, hidden_gradient, _ = reference(hidden, weight, targets)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = chunked_cross_entropy(hidden, weight, targets)
    loss.backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.detach().double(), expected, rtol=1e-2, atol=0.1)
    torch.testing.assert_close(hidden.grad.double(), hidden_gradient, rtol=5e-2, atol=5e-2)
