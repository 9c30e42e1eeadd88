"""The page on bases: what it shows works, and it names every supported model and every setting of the hub."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from loquela.cli.main import answer
from loquela.core.errors import ErrorCode
from loquela.models.pretrained.gguf_network import SUPPORTED
from loquela.models.pretrained.shapes import ARCHITECTURES
from toy_bases import copied_base

PAGE = (Path(__file__).parents[2] / "docs" / "bases.md").read_text(encoding="utf-8")


def test_what_the_page_shows_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copied_base(tmp_path / "models" / "my-base")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (shell,) = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout
    for command in shell.splitlines():
        assert answer(shlex.split(command)[1:]) == 0, capsys.readouterr().err
        assert capsys.readouterr().out


def test_what_the_page_names_is_there() -> None:
    plain = re.sub(r"[^a-z0-9]", "", PAGE.lower())
    assert [name for name in (*ARCHITECTURES, *SUPPORTED) if name not in plain] == []
    codes = re.findall(r"`([A-Z]+_[A-Z_]+)`", PAGE)
    assert [code for code in codes if code not in set(ErrorCode) and not code.startswith("HF_")] == []
