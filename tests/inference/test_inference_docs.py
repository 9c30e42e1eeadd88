"""The examples of docs/inference.md run as they stand."""

import re
from pathlib import Path

from toy_run import make_run

PAGE = Path(__file__).parents[2] / "docs" / "inference.md"


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    make_run(tmp_path / "data" / "runs" / "my-run")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    names = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102 - our own page
    assert names["answer"].steps <= 20
    assert len(capsys.readouterr().out.splitlines()) >= 3
