"""Which process is which: numbers of processes are given out again, so a start time tells them apart."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import psutil

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


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
    return f"{host_name()}:{os.getpid()}:{int(psutil.Process().create_time() * 1000)}"


def is_alive(worker: str) -> bool:
    """Whether a worker of this machine still lives; one whose number another process has now does not."""
    _, pid, started = worker.rsplit(":", 2)
    try:
        process = psutil.Process(int(pid))
        return int(process.create_time() * 1000) == int(started) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
