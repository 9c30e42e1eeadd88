"""What `loquela doctor` looks at."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from importlib import metadata
from pathlib import Path

import psutil

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
PROBE_SIZE = 1024


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
    """Whether torch works, what devices it sees, and how fast it multiplies here."""
    try:
        import torch
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
    cuda = torch.cuda.is_available()
    mps = torch.backends.mps.is_available()
    device = f"cuda: {torch.cuda.get_device_name(0)}" if cuda else "mps" if mps else f"cpu: {processor_name()}"
    left, right = torch.rand(PROBE_SIZE, PROBE_SIZE), torch.rand(PROBE_SIZE, PROBE_SIZE)
    torch.mm(left, right)
    began = time.perf_counter()
    torch.mm(left, right)
    rate = 2 * PROBE_SIZE**3 / (time.perf_counter() - began) / 1e9
    return [
        Finding(name="device", passed=True, required=True, message=device),
        Finding(
            name="matrix product",
            passed=True,
            required=True,
            message=f"{rate:.0f} GFLOP/s in fp32 on the CPU with {torch.get_num_threads()} threads; "
            f"instructions up to {torch.backends.cpu.get_cpu_capability()}",
        ),
    ]


def threads() -> Finding:
    """Cores that may be used, and a thread limit that leaves some idle."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
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
    free_mb = psutil.virtual_memory().available / 1e6
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
