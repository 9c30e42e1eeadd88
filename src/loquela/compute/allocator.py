"""Keeps freed memory in the process: glibc otherwise maps and unmaps every large tensor of every step.

A fresh mapping costs a page fault for each 4 KiB touched; on a two-layer model that was a third of the step.
"""

from __future__ import annotations

import ctypes
import platform
import sys

# Numbers of mallopt(3).
M_TRIM_THRESHOLD = -1
M_TOP_PAD = -2
M_MMAP_MAX = -4

TRIM_THRESHOLD_BYTES = 2**31 - 1
TOP_PAD_BYTES = 16 * 2**20


def keep_freed_memory() -> bool:
    """Tell glibc to serve large tensors from the heap and to keep what is freed; False where there is no glibc.

    Peak memory stays what the program needs at once, give or take fragmentation; it is not given back before the
    end of the process.
    """
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        return False
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES), (M_TOP_PAD, TOP_PAD_BYTES))
    return all([libc.mallopt(number, value) == 1 for number, value in settings])
