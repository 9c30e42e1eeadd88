"""A working directory to run in, and one finished run that many tests look at."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import flow_runs as flow
import pytest

import loquela
from loquela.api import Run
from loquela.cli.main import answer


@dataclass
class Finished:
    home: Path
    run: Run


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The tiny recipe, run once; for reading only."""
    home = flow.make_home(tmp_path_factory.mktemp("finished"))
    before = Path.cwd()
    os.chdir(home)
    try:
        run = loquela.run("tiny.yaml", quiet=True)
        return Finished(home, Run((home / run.directory).resolve()))
    finally:
        os.chdir(before)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh working directory with the tiny recipe, entered."""
    folder = flow.make_home(tmp_path / "a home")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]):
    """A command line in this process, the way the program carries it out."""

    def carry_out(*arguments: str) -> flow.Outcome:
        capsys.readouterr()
        code = answer(arguments)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return flow.Outcome(code, out, err)

    return carry_out
