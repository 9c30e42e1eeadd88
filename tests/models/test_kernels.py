"""oneDNN's products are exact float32: equal to PyTorch's within rounding, equal to themselves bit for bit."""

import pytest
import torch
import torch.nn.functional as F

from loquela.models import kernels


@pytest.fixture
def onednn():
    if kernels.use_linear_kernel("onednn") != "onednn":
        pytest.skip("this PyTorch has no oneDNN")
    yield
    kernels.use_linear_kernel("torch")


def differentiated(shape, outputs, bias, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(*shape, generator=generator).requires_grad_()
    weight = torch.randn(outputs, shape[-1], generator=generator).requires_grad_()
    offset = torch.randn(outputs, generator=generator).requires_grad_() if bias else None
    result = kernels.linear(x, weight, offset)
    result.backward(torch.randn(result.shape, generator=generator))
    return [result.detach(), x.grad, weight.grad] + ([offset.grad] if offset is not None else [])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("shape", "outputs"), [((33, 5), 7), ((4, 32, 24), 56), ((3, 37, 16), 130), ((97, 64), 1)])
def test_equals_torch_within_rounding(onednn, shape, outputs, bias):
    fast = differentiated(shape, outputs, bias)
    kernels.use_linear_kernel("torch")
    for ours, theirs in zip(fast, differentiated(shape, outputs, bias), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)
        assert ours.is_contiguous()


def test_repeated_calls_give_equal_bits(onednn):
    first = differentiated((8, 128, 64), 192, True)
    for _ in range(3):
        assert all(torch.equal(a, b) for a, b in zip(first, differentiated((8, 128, 64), 192, True), strict=True))


def test_a_strided_output_gradient_is_understood(onednn):
    x = torch.randn(64, 8)
    gradient = torch.randn(64, 20)[:, :10]
    torch.testing.assert_close(kernels.onednn_weight_gradient(gradient, x), gradient.t() @ x, rtol=1e-5, atol=1e-4)


def test_other_types_and_small_products_stay_with_torch(onednn):
    for x in (torch.randn(64, 8, dtype=torch.float64), torch.randn(4, 8), torch.randn(64, 8, dtype=torch.bfloat16)):
        weight = torch.randn(5, 8, dtype=x.dtype)
        assert torch.equal(kernels.linear(x, weight, None), F.linear(x, weight))


def test_autocast_is_respected(onednn):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert kernels.linear(torch.randn(64, 8), torch.randn(5, 8), None).dtype == torch.bfloat16


def test_without_onednn_torch_is_used(monkeypatch):
    monkeypatch.setattr(kernels, "onednn_available", lambda: False)
    assert kernels.use_linear_kernel("onednn") == "torch"
    assert kernels.linear_kernel() == "torch"
