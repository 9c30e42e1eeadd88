"""The plan of a run: every choice by what the machine shows, with its reason; nothing that it cannot do."""

import os
import subprocess
import sys

import pytest
import torch

from loquela.compute import devices, preflight
from loquela.compute.allocator import keep_freed_memory
from loquela.compute.apply import apply_plan
from loquela.compute.compiling import choose_compile
from loquela.compute.defaults import default_batch_size, loader_workers, with_device_defaults
from loquela.compute.devices import DevicePlan, choose_device
from loquela.compute.flops import peak_flops_per_second, utilization
from loquela.compute.probe import CpuProbe, probe_cpu
from loquela.core.errors import ErrorCode, RecipeError, ResourceError
from loquela.models import kernels
from loquela.models.config import model_config
from loquela.recipe.origins import Origin, ResolvedRecipe
from loquela.recipe.schema import ComputeSection, ModelSection, Recipe


@pytest.fixture
def machine(monkeypatch):
    """A CPU whose probe reads what the test says, in GFLOP/s."""

    def set_up(torch_fp32=100.0, onednn_fp32=200.0, bf16=400.0):
        probe = CpuProbe(torch_fp32=torch_fp32 * 1e9, onednn_fp32=onednn_fp32 * 1e9, bf16=bf16 * 1e9)
        monkeypatch.setattr(devices, "probe_cpu", lambda config: probe)
        monkeypatch.setattr(devices, "onednn_available", lambda: onednn_fp32 > 0)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)

    return set_up


def plan_of(**section):
    return choose_device(ComputeSection(**section), family="transformer")


def test_the_faster_kernel_and_exact_precision_on_a_cpu(machine):
    machine()
    plan = plan_of()
    assert (plan.device, plan.precision, plan.linear_kernel, plan.compile) == ("cpu", "fp32", "onednn", False)
    assert (plan.loader_workers, plan.pin_memory) == (0, False)
    assert "oneDNN measured 200 and PyTorch's own kernel 100 GFLOP/s" in plan.reasons["linear_kernel"]
    assert "bf16 products measured 2.0 times the speed of fp32" in plan.reasons["precision"]
    assert set(plan.reasons) == {"device", "precision", "threads", "linear_kernel", "compile", "loader_workers"}


def test_a_small_difference_is_noise(machine):
    machine(torch_fp32=100, onednn_fp32=105)
    assert plan_of().linear_kernel == "torch"
    assert plan_of(linear_kernel="onednn").linear_kernel == "onednn"


def test_onednn_that_is_missing_is_said(machine):
    machine(onednn_fp32=0)
    assert plan_of().linear_kernel == "torch"
    with pytest.raises(ResourceError, match="this PyTorch was built without it"):
        plan_of(linear_kernel="onednn")


def test_slow_bf16_and_any_fp16_are_refused_on_a_cpu(machine):
    machine(bf16=10)
    with pytest.raises(RecipeError, match=r"bf16 products run at 0.05 times the speed of fp32") as caught:
        plan_of(precision="bf16")
    assert caught.value.remedy == "set compute.precision to fp32"
    with pytest.raises(RecipeError, match="fp16 needs a loss scaler and CUDA, and the device is cpu"):
        plan_of(precision="fp16")
    machine(bf16=400)
    assert plan_of(precision="bf16").precision == "bf16"
    assert plan_of(precision="bf16").linear_kernel == "torch"


def test_a_device_that_is_not_there(machine):
    machine()
    with pytest.raises(ResourceError, match=r"compute.device is cuda, and PyTorch .* finds none") as caught:
        plan_of(device="cuda")
    assert caught.value.code == ErrorCode.INSUFFICIENT_RESOURCES
    assert "set compute.device to cpu or auto" in caught.value.remedy


@pytest.mark.parametrize(("has_bf16", "precision"), [(True, "bf16"), (False, "fp16")])
def test_cuda_takes_half_precision_workers_and_pinned_memory(machine, monkeypatch, has_bf16, precision):
    machine()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: has_bf16)
    plan = plan_of()
    assert (plan.device, plan.precision, plan.pin_memory, plan.linear_kernel) == ("cuda", precision, True, "torch")
    assert plan.loader_workers == min(4, devices.usable_cores())
    if not has_bf16:
        with pytest.raises(RecipeError, match="no bf16 units"):
            plan_of(precision="bf16")


def test_threads_are_shared_by_the_processes(machine, monkeypatch):
    machine()
    monkeypatch.setattr("loquela.compute.threads.usable_cores", lambda: 8)
    assert plan_of(processes=3).threads == 2
    assert plan_of(processes=30).threads == 1
    assert plan_of(threads=5, processes=3).threads == 5


def test_cuda_defaults_of_loader_and_batch():
    assert [loader_workers("cuda", cores, None) for cores in (2, 16)] == [2, 4]
    assert loader_workers("cpu", 16, None) == 0
    assert loader_workers("cuda", 16, 0) == 0
    assert [default_batch_size("cuda", family, 4) for family in ("transformer", "lstm", "gru")] == [32, 64, 16]
    assert default_batch_size("cuda", "transformer", 128) == 128
    assert default_batch_size("cpu", "transformer", 4) == 4


def test_compiling_must_outlive_its_cost():
    def chosen(wish="auto", device="cuda", family="transformer", steps=10_000, seconds=0.1):
        return choose_compile(wish, device=device, family=family, num_layers=10, steps=steps, step_seconds=seconds)

    # 10 000 steps × 0.1 s × (1 - 1/1.16) = 138 s saved; 20 + 3·10 = 50 s paid.
    assert chosen() == (True, "predicted to save 138 s over 10000 steps, more than the 50 s it costs")
    assert chosen(steps=3000) == (False, "predicted to save 41 s over 3000 steps, not more than the 50 s it costs")
    assert not chosen(device="cpu")[0]
    assert not chosen(family="lstm")[0]
    assert not chosen(seconds=None)[0]
    assert chosen(wish="on", device="cpu")[0]
    assert not chosen(wish="off")[0]


def test_the_probe_reads_this_machine_and_leaves_its_threads():
    before = torch.get_num_threads()
    probe = probe_cpu(model_config(ModelSection(), 8000))
    assert torch.get_num_threads() == before
    assert probe.torch_fp32 > 1e8
    assert (probe.onednn_fp32 > 0) == kernels.onednn_available()
    assert probe.bf16 > 0
    assert probe.best_fp32 == max(probe.torch_fp32, probe.onednn_fp32)


def test_peaks_are_known_or_nothing():
    assert peak_flops_per_second("NVIDIA H100 80GB HBM3", "bf16") == 989.4e12
    assert peak_flops_per_second("NVIDIA H100 PCIe", "bf16") == 756e12
    assert peak_flops_per_second("NVIDIA A100-SXM4-80GB", "fp32") == 19.5e12
    assert peak_flops_per_second("Tesla T4", "bf16") is None
    assert peak_flops_per_second("NVIDIA Something 9000", "bf16") is None
    # 1 M tokens/s of 6 × 124 M operations on 8 GPUs of 312 T: 744e12 / 2496e12.
    assert utilization(1e6, 744e6, 312e12, devices=8) == pytest.approx(0.29808, rel=1e-4)
    assert utilization(1e6, 744e6, None) is None


def test_apply_sets_threads_kernel_and_determinism(monkeypatch):
    threads, determinism = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    try:
        apply_plan(DevicePlan(device="cpu", precision="fp32", threads=1, linear_kernel="torch"))
        assert torch.get_num_threads() == 1
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        if kernels.onednn_available():
            apply_plan(DevicePlan(device="cpu", precision="fp32", threads=1, linear_kernel="onednn"))
            assert kernels.linear_kernel() == "onednn"
        monkeypatch.setattr(kernels, "onednn_available", lambda: False)
        with pytest.raises(ResourceError, match="this run computes with onednn"):
            apply_plan(DevicePlan(device="cpu", precision="fp32", threads=1, linear_kernel="onednn"))
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(determinism)
        torch.utils.deterministic.fill_uninitialized_memory = True
        kernels.use_linear_kernel("torch")


def test_the_allocator_keeps_large_blocks():
    """In a process of its own, since the setting lasts: 64 MiB given back four times are touched only once."""
    program = """
import resource
from loquela.compute.allocator import keep_freed_memory
kept = keep_freed_memory()
import numpy
for _ in range(2):
    numpy.ones(2**23)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    numpy.ones(2**23)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    if printed[0] == "False":
        pytest.skip("no glibc here")
    assert int(printed[1]) < 100
    assert isinstance(keep_freed_memory(), bool)


def recipe_of(**compute):
    return Recipe(compute=ComputeSection(device="cpu", **compute))


def test_the_preflight_holds_the_memory_plan_against_what_is_free(monkeypatch):
    monkeypatch.setattr(preflight, "available_memory_bytes", lambda: 10**9)
    device, memory, threads = preflight.check_machine(recipe_of())
    assert device.passed and memory.passed and threads.passed
    assert memory.numbers["free_bytes"] == 10**9
    monkeypatch.setattr(preflight, "available_memory_bytes", lambda: 10**8)
    memory = preflight.check_machine(recipe_of())[1]
    assert not memory.passed
    assert memory.code == ErrorCode.OOM
    assert "100 MB are free" in memory.message
    assert "lower train.batch_size and raise train.gradient_accumulation_steps" in memory.remedy


def test_the_preflight_respects_the_recipes_own_limit(monkeypatch):
    monkeypatch.setattr(preflight, "available_memory_bytes", lambda: 10**9)
    assert not preflight.check_machine(recipe_of(memory_limit_mb=64))[1].passed


def test_the_preflight_refuses_more_threads_than_processors(monkeypatch):
    monkeypatch.setattr(preflight, "usable_processors", lambda: 4)
    monkeypatch.setattr(preflight, "usable_cores", lambda: 2)
    assert preflight.check_machine(recipe_of(threads=4))[2].passed
    refused = preflight.check_machine(recipe_of(threads=5))[2]
    assert not refused.passed
    assert refused.code == ErrorCode.INSUFFICIENT_RESOURCES
    assert refused.message == "5 thread(s) in each of 1 process(es), on 4 usable processor(s)"
    assert refused.remedy == "set compute.threads to 2, or leave it out"


def test_the_preflight_names_a_missing_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    proofs = preflight.check_machine(Recipe(compute=ComputeSection(device="cuda")))
    assert [proof.passed for proof in proofs] == [False]
    assert "compute.device is cuda" in proofs[0].message


def test_the_matrix_speed_counts_the_threads(monkeypatch):
    probe = CpuProbe(torch_fp32=1e9, onednn_fp32=2e9, bf16=0.0)
    monkeypatch.setattr(preflight, "probe_cpu", lambda config: probe)
    assert preflight.matrix_flops_per_second(recipe_of(threads=3)) == 6e9


def resolved_of(**origins: str) -> ResolvedRecipe:
    kinds = {f"train.{key}": Origin.model_validate({"kind": kind}) for key, kind in origins.items()}
    return ResolvedRecipe(
        recipe=Recipe.model_validate({"train": {"batch_size": 8, "gradient_accumulation_steps": 64}}), origins=kinds
    )


def test_on_cuda_a_small_batch_nobody_wrote_is_raised_and_the_step_kept(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    fitted = with_device_defaults(resolved_of(batch_size="derived", gradient_accumulation_steps="derived"))
    train = fitted.recipe.train
    assert (train.batch_size, train.gradient_accumulation_steps) == (32, 16)
    assert fitted.origins["train.batch_size"].kind == "derived"
    assert "it was 512 rows a step" in fitted.origins["train.batch_size"].where
    half = with_device_defaults(resolved_of(batch_size="default", gradient_accumulation_steps="file")).recipe.train
    assert (half.batch_size, half.gradient_accumulation_steps) == (32, 64)


def test_a_batch_somebody_wrote_and_other_devices_are_left_alone(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for kind in ("file", "set", "environment"):
        written = resolved_of(batch_size=kind)
        assert with_device_defaults(written) is written
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    derived = resolved_of(batch_size="derived")
    assert with_device_defaults(derived) is derived


def test_the_preflight_refuses_a_precision_before_anything_is_made():
    with pytest.raises(RecipeError, match="fp16 needs a loss scaler and CUDA"):
        preflight.check_machine(recipe_of(precision="fp16"))
