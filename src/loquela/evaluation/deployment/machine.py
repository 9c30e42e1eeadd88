"""The machine that a check ran on, as far as it decides how fast a bundle is."""

from __future__ import annotations

import platform
from pathlib import Path

import psutil

from loquela.compute.threads import usable_cores
from loquela.evaluation.deployment.report import Machine

PROCESSOR_FACTS = Path("/proc/cpuinfo")
MEBIBYTE = 2**20


def this_machine() -> Machine:
    """Processor, usable cores, memory, system, Python."""
    return Machine(
        processor=_processor(),
        cores=usable_cores(),
        memory_mb=psutil.virtual_memory().total // MEBIBYTE,
        system=platform.system(),
        python=platform.python_version(),
    )


def _processor() -> str:
    if PROCESSOR_FACTS.is_file():
        for line in PROCESSOR_FACTS.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
