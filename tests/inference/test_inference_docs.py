"""The example of docs/inference.md runs as it stands."""

import re
from pathlib import Path

from toy_run import make_run

PAGE = Path(__file__).parents[2] / "docs" / "inference.md"


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    make_run(tmp_path / "data" / "runs" / "my-run")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 1
    exec(compile(blocks[0], str(PAGE), "exec"), {})  # noqa: S102 - our own page
    assert len(capsys.readouterr().out.splitlines()) >= 2
