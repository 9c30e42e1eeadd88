"""What `loquela doctor` looks at."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path

from loquela.compute.memory import available_memory_bytes
from loquela.compute.threads import usable_cores
from loquela.core.model import BoundaryModel
from loquela.runs.environment import processor_name
from loquela.runs.prerequisites import existing_ancestor

OLDEST_PYTHON = (3, 11)
REQUIRED = ("torch", "numpy", "tokenizers", "sentencepiece", "safetensors", "pydantic", "httpx", "matplotlib")
OPTIONAL = {
    "transformers": "to open our model folders with its AutoModelForCausalLM",
    "pytest": "to run the test suite",
}
LEAST_DISK_MB = 500
LEAST_MEMORY_MB = 1000


class Finding(BoundaryModel):
    """One thing looked at; a missing required one makes the machine unfit."""

    name: str
    passed: bool
    required: bool
    message: str
    remedy: str = ""


def examine(output_directory: Path) -> list[Finding]:
    """Look at everything; takes a few seconds, most of them to import torch."""
    return [
        python_version(),
        *(package(name, required=True) for name in REQUIRED),
        *(package(name, required=False, use=use) for name, use in OPTIONAL.items()),
        *tensor_library(),
        threads(),
        memory(),
        disk(output_directory),
    ]


def python_version(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Python itself."""
    return Finding(
        name="python",
        passed=version[:2] >= OLDEST_PYTHON,
        required=True,
        message=f"{'.'.join(str(part) for part in version)} on {platform.platform()}",
        remedy="install Python 3.11 or newer",
    )


def package(name: str, *, required: bool, use: str = "") -> Finding:
    """An installed package, by its metadata."""
    try:
        return Finding(name=name, passed=True, required=required, message=metadata.version(name))
    except metadata.PackageNotFoundError:
        return Finding(
            name=name,
            passed=False,
            required=required,
            message="not installed" + (f"; useful {use}" if use else ""),
            remedy=f"pip install {name}",
        )


def tensor_library() -> list[Finding]:
    """Whether torch works, and what a run would choose here: device, precision, kernel, each with its reason."""
    try:
        import torch  # noqa: F401  (its own import is what is examined)
    except (ImportError, OSError) as error:
        return [
            Finding(
                name="torch works",
                passed=False,
                required=True,
                message=f"importing torch failed: {error}",
                remedy="install torch anew, for this Python and platform",
            )
        ]
    from loquela.compute.devices import choose_device
    from loquela.compute.probe import probe_cpu
    from loquela.recipe.schema import ComputeSection

    plan = choose_device(ComputeSection(), family="transformer")
    chosen = {"device": plan.device, "precision": plan.precision, "linear kernel": plan.linear_kernel}
    findings = [
        Finding(
            name=name,
            passed=True,
            required=True,
            message=f"{value}: {plan.reasons.get(name.replace(' ', '_'), 'as the recipe says')}",
        )
        for name, value in chosen.items()
    ]
    probe = probe_cpu(None)
    speeds = {"torch": probe.torch_fp32, "oneDNN": probe.onednn_fp32, "bf16": probe.bf16}
    measured = ", ".join(f"{name} {speed / 1e9:.0f}" for name, speed in speeds.items() if speed)
    return [
        *findings,
        Finding(
            name="kernels",
            passed=True,
            required=True,
            message=f"{measured} GFLOP/s in one thread of {processor_name()}",
        ),
    ]


def threads() -> Finding:
    """Cores that may be used, and a thread limit that leaves some idle."""
    usable = usable_cores()
    limit = os.environ.get("OMP_NUM_THREADS", "")
    narrow = limit.isdigit() and int(limit) < usable
    return Finding(
        name="threads",
        passed=not narrow,
        required=False,
        message=f"{usable} usable cores" + (f", but OMP_NUM_THREADS is {limit}" if narrow else ""),
        remedy="unset OMP_NUM_THREADS, or set compute.threads in the recipe",
    )


def memory() -> Finding:
    """Free memory."""
    free_mb = available_memory_bytes() / 1e6
    return Finding(
        name="memory",
        passed=free_mb >= LEAST_MEMORY_MB,
        required=False,
        message=f"{free_mb:,.0f} MB free",
        remedy="close other programs, or lower train.batch_size",
    )


def disk(output_directory: Path) -> Finding:
    """Room and write permission where runs will be written."""
    place = existing_ancestor(output_directory)
    free_mb = shutil.disk_usage(place).free / 1e6
    writable = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    return Finding(
        name="disk",
        passed=writable and free_mb >= LEAST_DISK_MB,
        required=True,
        message=f"{free_mb:,.0f} MB free for {output_directory}, {'writable' if writable else 'not writable'}",
        remedy="free some space, or choose another folder: --output-directory DIR",
    )
