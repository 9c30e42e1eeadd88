"""A large object needs no more memory than a small one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHILD = Path(__file__).parent / "reading_memory_child.py"
# What the allocator and the buffers of one run may differ by from another's.
SLACK_BYTES = 24_000_000


def peak(kind: str, size: int) -> int:
    command = [sys.executable, str(CHILD), kind, str(size)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=900).stdout)


@pytest.mark.parametrize("kind", ["decode", "jsonl"])
def test_memory_is_flat_from_10_to_100_mb(kind: str) -> None:
    small, large = peak(kind, 10_000_000), peak(kind, 100_000_000)
    assert large < small + SLACK_BYTES


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["decode", "jsonl", "json", "csv", "stream"])
def test_memory_is_flat_from_10_mb_to_2_gb(kind: str) -> None:
    small, large = peak(kind, 10_000_000), peak(kind, 2_000_000_000)
    assert large < small + SLACK_BYTES
