"""Which process is which: numbers of processes are given out again, so a start time tells them apart.

On Linux that is the kernel's own count since the machine was started: whoever sets the machine's clock does not change
it, so that no living process is ever taken for a dead one.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import psutil

PROCESSES = Path("/proc")
BOOT_ID = PROCESSES / "sys/kernel/random/boot_id"
# Of /proc/<pid>/stat, counted behind the name (proc(5): fields 3 and 22).
STATE_FIELD, START_FIELD = 0, 19
ENDED = ("Z", "X", "x")


def host_name() -> str:
    """The machine."""
    return socket.gethostname()


def boot_id() -> str:
    """Which start of the machine this is; the time of it where the kernel has no name for it."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return str(int(psutil.boot_time()))


def worker_name() -> str:
    """host:pid:start, which no other process has had."""
    started, _ = _found(os.getpid())
    return f"{host_name()}:{os.getpid()}:{started}"


def is_alive(worker: str) -> bool:
    """Whether a worker of this machine still lives; one whose number another process has now does not."""
    _, pid, started = worker.rsplit(":", 2)
    try:
        found, ended = _found(int(pid))
    except psutil.NoSuchProcess:
        return False
    return found == int(started) and not ended


def _found(pid: int) -> tuple[int, bool]:
    """When a process was started, and whether it has ended and only waits for its parent; psutil.NoSuchProcess."""
    try:
        # Field 2 is the program's name, which may hold anything: those that count stand behind its last bracket.
        fields = (
            (PROCESSES / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
        return int(fields[START_FIELD]), fields[STATE_FIELD] in ENDED
    except (FileNotFoundError, ProcessLookupError):
        if PROCESSES.is_dir():
            raise psutil.NoSuchProcess(pid) from None
    process = psutil.Process(pid)
    return int(process.create_time() * 1000), process.status() == psutil.STATUS_ZOMBIE
