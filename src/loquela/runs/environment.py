"""What a run was made with: versions, hardware, code revision. Never a secret, never an environment variable."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import psutil
from pydantic import JsonValue

PACKAGES = ("loquela", "torch", "numpy", "tokenizers", "sentencepiece", "safetensors", "pydantic")


def versions() -> dict[str, JsonValue]:
    """Python's and the relevant packages' versions."""
    found: dict[str, JsonValue] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def hardware() -> dict[str, JsonValue]:
    """Processor, cores, memory (MB) and operating system."""
    return {
        "platform": platform.platform(),
        "processor": processor_name(),
        "cores_physical": psutil.cpu_count(logical=False),
        "cores_usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_mb": psutil.virtual_memory().total // 2**20,
    }


def processor_name() -> str:
    """The processor's own name where the system tells it."""
    path = Path("/proc/cpuinfo")
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def git_revision(directory: Path) -> dict[str, JsonValue]:
    """Commit and whether the tree differs from it; empty outside a repository or without git."""
    try:
        commit = _git(directory, "rev-parse", "HEAD")
        dirty = bool(_git(directory, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"commit": commit, "dirty": dirty}


def _git(directory: Path, *arguments: str) -> str:
    # A fixed program with fixed arguments: nothing from outside reaches the command line.
    done = subprocess.run(  # noqa: S603
        ["git", "-C", str(directory), *arguments],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )
    return done.stdout.strip()
