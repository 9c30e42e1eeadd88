"""A real file system that is soon full, or read-only; and a database that another process holds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """A file system of its own, mounted at `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._ballast = root / "ballast"

    def fill(self) -> None:
        """Not a byte is left."""
        with self._ballast.open("ab", buffering=0) as stream:
            for piece in (1 << 16, 1 << 10, 1):
                try:
                    while stream.write(bytes(piece)):
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        """There is room again."""
        self._ballast.unlink()

    def read_only(self) -> bool:
        """Whether writing could be switched off: not while anybody has a file open for it."""
        return (
            subprocess.run(["mount", "-o", "remount,ro", str(self.root)], capture_output=True, check=False).returncode
            == 0
        )

    def writable(self) -> None:
        """Switch writing on again."""
        _mount("-o", "remount,rw", str(self.root))


@contextmanager
def small_disk(root: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Needs root and the right to mount; skips where there is none."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    root.mkdir()
    try:
        _mount("-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(root))
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    try:
        yield SmallDisk(root)
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True, timeout=30)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True, timeout=30)


HOLD = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
held.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_by_another(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process has the SQLite file locked, until the end or until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
