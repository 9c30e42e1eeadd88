"""A process that does not compile does not load the compiler, and its optimizers do what they always do."""

import subprocess
import sys

import pytest

PROGRAM = """
import hashlib, sys, torch
from loquela.compute.lean import leave_compiler_out
torch.set_num_threads(1)
if sys.argv[1] == "lean":
    assert leave_compiler_out() and leave_compiler_out()
loaded = []
for make in (
    lambda p: torch.optim.AdamW(p, lr=0.1, fused=True),
    lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.1),
    lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
):
    weight = torch.nn.Parameter(torch.arange(12.0).view(3, 4))
    optimizer = make([weight])
    for _ in range(3):
        optimizer.zero_grad(set_to_none=True)
        weight.sin().sum().backward()
        torch.nn.utils.clip_grad_norm_([weight], 1.0)
        optimizer.step()
    again = make([weight])
    again.load_state_dict(optimizer.state_dict())
    again.step()
    assert weight.requires_grad and weight.grad is not None
    loaded.append(hashlib.sha256(weight.detach().numpy().tobytes()).hexdigest())
print(*loaded, "torch._dynamo" in sys.modules)
"""


def outcome(mode):
    result = subprocess.run([sys.executable, "-c", PROGRAM, mode], capture_output=True, text=True, check=True)
    return result.stdout.split()


def test_the_same_bits_without_the_compiler():
    *lean, is_loaded = outcome("lean")
    *usual, _ = outcome("usual")
    if is_loaded == "True":
        pytest.skip("this PyTorch loads its compiler elsewhere too")
    assert len(set(lean)) == 3
    assert lean == usual
