"""doctor says what is there, what is missing, and how to mend it."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
from cli_harness import Loquela

from loquela.cli import examination


def test_this_machine_is_ready(loquela: Loquela) -> None:
    done = loquela("doctor", "--json")
    assert done.code == 0
    assert done.json["ready"] is True
    found = {finding["name"]: finding for finding in done.json["findings"]}
    assert found["torch"]["message"] == metadata.version("torch")
    assert re.search(r"torch \d+.* GFLOP/s in one thread of ", found["kernels"]["message"])
    assert re.match(r"(cpu|cuda|mps): .", found["device"]["message"])
    assert re.match(r"(fp32|bf16|fp16): .", found["precision"]["message"])
    assert {"python", "linear kernel", "threads", "memory", "disk", "transformers"} <= set(found)


def test_what_is_missing_exits_with_4(loquela: Loquela, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "REQUIRED", ("no-such-package-of-ours",))
    monkeypatch.setattr(examination, "OPTIONAL", {"no-such-extra-of-ours": "to sing"})
    done = loquela("doctor")
    assert done.code == 4
    assert "MISSING  no-such-package-of-ours: not installed" in done.out
    assert "to mend it: pip install no-such-package-of-ours" in done.out
    assert "note     no-such-extra-of-ours: not installed; useful to sing" in done.out
    assert "not ready: mend what is MISSING" in done.out


def test_old_python() -> None:
    finding = examination.python_version((3, 10, 4))
    assert not finding.passed
    assert finding.remedy == "install Python 3.11 or newer"


def test_a_narrow_thread_limit_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "usable_cores", lambda: 4)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    finding = examination.threads()
    assert not finding.passed and not finding.required
    assert finding.message == "4 usable cores, but OMP_NUM_THREADS is 1"
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert examination.threads().passed


def test_a_full_or_closed_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert examination.disk(tmp_path / "not" / "there").passed
    (tmp_path / "file").write_text("")
    closed = examination.disk(tmp_path / "file")
    assert not closed.passed
    assert "not writable" in closed.message
    monkeypatch.setattr(examination, "LEAST_DISK_MB", 1e12)
    assert not examination.disk(tmp_path).passed


def test_little_memory_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "LEAST_MEMORY_MB", 1e12)
    finding = examination.memory()
    assert not finding.passed and not finding.required


def test_a_broken_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    (finding,) = examination.tensor_library()
    assert finding.required and not finding.passed
    assert "importing torch failed" in finding.message
