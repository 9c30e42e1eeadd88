"""A command line in this process, in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_harness import Loquela


@pytest.fixture
def loquela(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loquela:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Loquela(capsys)
