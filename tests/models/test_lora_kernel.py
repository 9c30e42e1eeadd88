"""The fused layer gives what PEFT's formula gives, forward and backward, with either kernel; dropout is exact."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from loquela.models.kernels import onednn_available, use_linear_kernel
from loquela.models.lora_kernel import LEVELS, dropout_levels, kept_places, lora_linear


@pytest.fixture(params=["torch", "onednn"])
def kernel(request):
    if request.param == "onednn" and not onednn_available():
        pytest.skip("this PyTorch has no oneDNN")
    use_linear_kernel(request.param)
    yield request.param
    use_linear_kernel("torch")


def parts(bias: bool) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor]:
    torch.manual_seed(0)
    made = [torch.randn(2, 24, 40), torch.randn(56, 40), torch.randn(56) if bias else None]
    down, up = torch.randn(8, 40), torch.randn(56, 8)
    inputs, weight, offset = made
    assert inputs is not None and weight is not None
    return inputs.requires_grad_(), weight, offset, down.requires_grad_(), up.requires_grad_()


def gradients(output: Tensor, *of: Tensor) -> tuple[Tensor, ...]:
    torch.manual_seed(1)
    return torch.autograd.grad((output * torch.randn_like(output)).sum(), of)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_as_the_formula(kernel: str, bias: bool, dropout: float) -> None:
    inputs, weight, offset, down, up = parts(bias)
    torch.manual_seed(5)
    output = lora_linear(inputs, weight, offset, down, up, 2.0, dropout)
    torch.manual_seed(5)
    kept = kept_places(torch.Size((48, 40)), dropout)
    share = 1 - dropout_levels(dropout) / LEVELS
    left = inputs if kept is None else inputs * kept.view(inputs.shape) / share
    expected = F.linear(inputs, weight, offset) + 2.0 * F.linear(F.linear(left, down), up)
    assert torch.allclose(output, expected, atol=1e-4)
    for found, wanted in zip(gradients(output, inputs, down, up), gradients(expected, inputs, down, up), strict=True):
        assert torch.allclose(found, wanted, atol=1e-3)


def test_the_same_seed_drops_the_same_places() -> None:
    shape = torch.Size((400, 300))
    torch.manual_seed(3)
    one, other = kept_places(shape, 0.05), kept_places(shape, 0.05)
    torch.manual_seed(3)
    again = kept_places(shape, 0.05)
    assert one is not None and other is not None and again is not None
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert abs(float((~one).float().mean()) - 0.05) < 0.003
    assert kept_places(shape, 0.0) is None


def test_nothing_is_learnt_by_the_frozen_matrix() -> None:
    inputs, weight, offset, down, up = parts(True)
    lora_linear(inputs, weight, offset, down, up, 2.0, 0.1).sum().backward()
    assert weight.grad is None and down.grad is not None and up.grad is not None
