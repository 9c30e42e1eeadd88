"""The page on examples: its recipe for a base makes rows, and its links lead somewhere."""

import json
import re
from pathlib import Path

import pytest

from loquela.cli.main import answer
from toy_bases import copied_base

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "examples.md").read_text(encoding="utf-8")


def test_the_recipe_for_a_base_makes_rows_and_shows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copied_base(tmp_path / "models" / "my-base")
    (recipe,) = (
        body for body in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL) if "finetune" in body
    )
    (tmp_path / "recipe.yaml").write_text(recipe)
    rows = [{"prompt": f"Where is river {number}?", "completion": f"Under bridge {number}."} for number in range(20)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def said(*command: str) -> str:
        code, told = answer(command), capsys.readouterr()
        assert code == 0, told.out[-2000:] + told.err[-2000:]
        return told.out

    assert "at most 256 tokens a row" in said("prepare-examples", "recipe.yaml")
    (folder,) = (path.parent for path in tmp_path.rglob("examples.jsonl"))
    (run,) = (path.name for path in (tmp_path / "data" / "runs").iterdir() if path.is_dir())
    shown = said("data", "preview", run, "--examples")
    assert "<|im_start|>assistant\n«Under bridge " in shown.replace("│", "")
    assert json.loads((folder / "template.json").read_text())["name"] == "base"


def test_links_of_the_page_lead_to_headings() -> None:
    links = re.findall(r"\]\(([a-z-]*\.?m?d?)#([a-z-]+)\)", PAGE)
    assert links
    for file, heading in links:
        headings = re.findall(r"^#+ (.*)$", (DOCS / file).read_text() if file else PAGE, re.MULTILINE)
        assert heading in [re.sub(r"[^a-z -]", "", text.lower()).replace(" ", "-") for text in headings]
