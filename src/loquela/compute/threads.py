"""How many threads a process should use: the physical cores it may run on, shared by the processes of a run."""

from __future__ import annotations

import math
import os
from pathlib import Path

import psutil

from loquela.compute.memory import CGROUP_ROOT, PROCESS_CGROUP, cgroup_directories


def usable_cores(cgroup_root: Path = CGROUP_ROOT, process_cgroup: Path = PROCESS_CGROUP) -> int:
    """Physical cores within the process's affinity and its control group's CPU quota, at least 1."""
    allowed = usable_processors()
    physical = psutil.cpu_count(logical=False) or allowed
    cores = min(physical, allowed)
    quota = cpu_quota(cgroup_root, process_cgroup)
    return max(1, cores if quota is None else min(cores, math.ceil(quota)))


def usable_processors() -> int:
    """Logical processors that this process may run on, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return psutil.cpu_count(logical=True) or 1


def cpu_quota(cgroup_root: Path = CGROUP_ROOT, process_cgroup: Path = PROCESS_CGROUP) -> float | None:
    """CPUs' worth of time that the tightest control group grants (v2 `cpu.max`), None without a limit."""
    quotas = []
    for group in cgroup_directories(cgroup_root, process_cgroup):
        path = group / "cpu.max"
        if not path.is_file():
            continue
        granted, _, period = path.read_text().strip().partition(" ")
        if granted.isdigit() and period.isdigit():
            quotas.append(int(granted) / int(period))
    return min(quotas) if quotas else None


def threads_per_process(processes: int) -> int:
    """Threads for each of `processes` processes on this machine, at least 1."""
    return max(1, usable_cores() // processes)
