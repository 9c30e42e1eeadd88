"""Recipe + machine → the plan of a run's arithmetic, every choice with its reason."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field

from loquela.compute.compiling import choose_compile
from loquela.compute.defaults import loader_workers
from loquela.compute.flops import peak_flops_per_second
from loquela.compute.probe import CpuProbe, probe_cpu
from loquela.compute.provider import LocalProvider
from loquela.compute.threads import usable_cores
from loquela.core.errors import ErrorCode, RecipeError, ResourceError
from loquela.core.model import BoundaryModel
from loquela.models.config import RecurrentConfig, TransformerConfig
from loquela.models.kernels import onednn_available
from loquela.models.size import flops_per_token
from loquela.recipe.schema import ComputeSection, ModelFamily

Device = Literal["cpu", "cuda", "mps"]
# oneDNN must be this much faster in the probe: a smaller difference is noise.
ONEDNN_GAIN = 1.1
# Share of the peak that a small transformer reaches on a GPU, for predicting a step's time.
EXPECTED_UTILIZATION = 0.3


class DevicePlan(BoundaryModel):
    """Where and how a run computes; saved with it, since an exact resume needs the same plan.

    `reasons` has one sentence for each field that was chosen. With `precision` fp16 the loss needs a scaler.
    """

    device: str
    precision: Literal["fp32", "bf16", "fp16"]
    threads: int = Field(ge=1)
    linear_kernel: Literal["torch", "onednn"] = "torch"
    compile: bool = False
    loader_workers: int = 0
    pin_memory: bool = False
    deterministic: bool = True
    reasons: dict[str, str] = Field(default_factory=dict)


def choose_device(
    section: ComputeSection,
    *,
    family: ModelFamily,
    config: TransformerConfig | RecurrentConfig | None = None,
    batch_size: int = 32,
    steps: int = 0,
) -> DevicePlan:
    """The plan for a network of `family`; `config`, `batch_size` rows and `steps` make its predictions better.

    Raises ResourceError(INSUFFICIENT_RESOURCES) for a device that is not there and RecipeError(CONFIG_INVALID)
    for a precision that the device cannot use well.
    """
    device, device_reason = find_device(section.device)
    threads = LocalProvider(section).threads()
    probe = probe_cpu(config) if device == "cpu" else None
    precision, precision_reason = _precision(section, device, probe)
    kernel, kernel_reason = _linear_kernel(section, device, precision, probe)
    tokens = batch_size * (config.max_sequence_length if config else 1)
    compiled, compile_reason = choose_compile(
        section.compile,
        device=device,
        family=family,
        num_layers=config.num_layers if config else 1,
        steps=steps,
        step_seconds=_step_seconds(device, precision, config, tokens),
    )
    workers = loader_workers(device, usable_cores(), section.loader_workers)
    return DevicePlan(
        device=device,
        precision=precision,
        threads=threads,
        linear_kernel=kernel,
        compile=compiled,
        loader_workers=workers,
        pin_memory=device == "cuda",
        deterministic=section.deterministic,
        reasons={
            "device": device_reason,
            "precision": precision_reason,
            "threads": "the recipe's"
            if section.threads
            else f"{usable_cores()} usable cores shared by {section.processes} process(es)",
            "linear_kernel": kernel_reason,
            "compile": compile_reason,
            "loader_workers": "the recipe's" if section.loader_workers is not None else f"the default on {device}",
        },
    )


def find_device(wish: Literal["auto", "cpu", "cuda", "mps"]) -> tuple[Device, str]:
    """The device to use and why; ResourceError(INSUFFICIENT_RESOURCES) when the one asked for is not there."""
    present: dict[Device, bool] = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wish == "auto":
        found = next(device for device, is_there in present.items() if is_there)
        return found, f"auto takes the first of cuda, mps, cpu that is there: {found}"
    if not present[wish]:
        there = [device for device, is_there in present.items() if is_there]
        raise ResourceError(
            ErrorCode.INSUFFICIENT_RESOURCES,
            f"compute.device is {wish}, and PyTorch {torch.__version__} finds none on this machine",
            f"set compute.device to {' or '.join(there)} or auto, or install a driver and a PyTorch built for {wish}",
            details={"available": list(there)},
        )
    return wish, "the recipe's"


def check_precision(section: ComputeSection, device: Device, config: TransformerConfig | RecurrentConfig) -> None:
    """RecipeError(CONFIG_INVALID) for a precision that the recipe asks for and the device cannot use well."""
    if section.precision != "auto":
        _precision(section, device, probe_cpu(config) if device == "cpu" else None)


def _precision(
    section: ComputeSection, device: Device, probe: CpuProbe | None
) -> tuple[Literal["fp32", "bf16", "fp16"], str]:
    if section.precision == "auto":
        return _automatic_precision(device, probe)
    if section.precision == "fp16" and device != "cuda":
        raise _unusable(f"fp16 needs a loss scaler and CUDA, and the device is {device}")
    if section.precision == "bf16" and device == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise _unusable("this GPU has no bf16 units", "fp16")
    if section.precision == "bf16" and probe is not None and probe.bf16_gain < 1.0:
        raise _unusable(f"bf16 products run at {probe.bf16_gain:.2f} times the speed of fp32 on this CPU")
    return section.precision, "the recipe's"


def _automatic_precision(device: Device, probe: CpuProbe | None) -> tuple[Literal["fp32", "bf16", "fp16"], str]:
    if device == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16", "this GPU has bf16 units, and bf16 needs no loss scaler"
        return "fp16", "this GPU has no bf16 units; the loss is scaled"
    if probe is None:
        return "fp32", f"the only precision that is exact on {device}"
    found = f"bf16 products measured {probe.bf16_gain:.1f} times the speed of fp32 here"
    if probe.bf16_gain >= 2:
        return "fp32", f"exact by default; {found}: compute.precision: bf16 trades digits for speed"
    return "fp32", f"exact, and {found}"


def _unusable(why: str, instead: str = "fp32") -> RecipeError:
    return RecipeError(
        ErrorCode.CONFIG_INVALID, f"compute.precision cannot be used: {why}", f"set compute.precision to {instead}"
    )


def _linear_kernel(
    section: ComputeSection, device: Device, precision: str, probe: CpuProbe | None
) -> tuple[Literal["torch", "onednn"], str]:
    if probe is None or precision != "fp32":
        return "torch", f"the choice exists for fp32 on a CPU, and this is {precision} on {device}"
    if section.linear_kernel == "onednn" and not onednn_available():
        raise ResourceError(
            ErrorCode.INSUFFICIENT_RESOURCES,
            "compute.linear_kernel is onednn, and this PyTorch was built without it",
            "set compute.linear_kernel to auto, or install the PyTorch wheel for x86-64 from the package index",
        )
    if section.linear_kernel != "auto":
        return section.linear_kernel, "the recipe's"
    ours, theirs = probe.onednn_fp32 / 1e9, probe.torch_fp32 / 1e9
    found = f"oneDNN measured {ours:.0f} and PyTorch's own kernel {theirs:.0f} GFLOP/s a thread"
    return ("onednn" if probe.onednn_gain >= ONEDNN_GAIN else "torch"), f"{found} in the probe"


def _step_seconds(
    device: Device,
    precision: Literal["fp32", "bf16", "fp16"],
    config: TransformerConfig | RecurrentConfig | None,
    tokens: int,
) -> float | None:
    if device != "cuda" or config is None:
        return None
    peak = peak_flops_per_second(torch.cuda.get_device_name(), precision)
    return None if peak is None else tokens * flops_per_token(config) / (peak * EXPECTED_UTILIZATION)
