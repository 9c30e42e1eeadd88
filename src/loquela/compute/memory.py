"""Memory: what this process may still take, within what a container or batch system allows, and took at most."""

from __future__ import annotations

from pathlib import Path

import psutil

CGROUP_ROOT = Path("/sys/fs/cgroup")
PROCESS_CGROUP = Path("/proc/self/cgroup")
PROCESS_STATUS = Path("/proc/self/status")


def available_memory_bytes(cgroup_root: Path = CGROUP_ROOT, process_cgroup: Path = PROCESS_CGROUP) -> int:
    """Bytes that can be taken before the machine or the control group runs short."""
    machine = int(psutil.virtual_memory().available)
    room = cgroup_room_bytes(cgroup_root, process_cgroup)
    return machine if room is None else max(0, min(machine, room))


def peak_memory_bytes() -> int:
    """The highest resident set of this process.

    Linux: VmHWM, since `ru_maxrss` there starts from the parent's. Elsewhere `ru_maxrss`, in bytes on macOS.
    """
    if PROCESS_STATUS.is_file():
        for line in PROCESS_STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def cgroup_room_bytes(cgroup_root: Path = CGROUP_ROOT, process_cgroup: Path = PROCESS_CGROUP) -> int | None:
    """Bytes left under the tightest control-group limit (v2, then v1) that holds this process, None without one.

    File cache that the kernel can drop counts as free, as the kernel itself counts it before it kills.
    """
    rooms = [
        room
        for group in cgroup_directories(cgroup_root, process_cgroup)
        for room in (
            _room(group, "memory.max", "memory.current", "inactive_file"),
            _room(group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        )
        if room is not None
    ]
    return min(rooms) if rooms else None


def cgroup_directories(cgroup_root: Path = CGROUP_ROOT, process_cgroup: Path = PROCESS_CGROUP) -> list[Path]:
    """The control groups of this process, the innermost first, up to the root."""
    directories = []
    for line in _text(process_cgroup).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(",") and "cpu" not in controllers.split(","):
            continue
        base = cgroup_root / controllers if controllers else cgroup_root
        inner = base / path.lstrip("/")
        directories += [inner, *(parent for parent in inner.parents if parent.is_relative_to(base))]
    # Inside a container the path of the host is often not there: the limits then stand at the root.
    return directories or [cgroup_root, cgroup_root / "memory", cgroup_root / "cpu"]


def _room(group: Path, limit_name: str, usage_name: str, cache_name: str) -> int | None:
    limit, usage = _text(group / limit_name).strip(), _text(group / usage_name).strip()
    if not limit.isdigit() or not usage.isdigit():
        return None
    if int(limit) >= 2**60:
        return None
    cache = 0
    for line in _text(group / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == cache_name and value.isdigit():
            cache = int(value)
    return int(limit) - int(usage) + cache


def _text(path: Path) -> str:
    """Contents of a kernel file, "" where there is none to read: such files come and go with the kernel."""
    try:
        return path.read_text()
    except OSError:
        return ""
