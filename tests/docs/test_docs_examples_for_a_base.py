"""The page on examples: its recipe for a base makes rows, and its links lead somewhere."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from toy_bases import copied_base

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "examples.md").read_text(encoding="utf-8")


def test_the_recipe_for_a_base_makes_rows_and_shows_them(tmp_path: Path) -> None:
    copied_base(tmp_path / "models" / "my-base")
    (recipe,) = (
        body for body in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL) if "finetune" in body
    )
    (tmp_path / "recipe.yaml").write_text(recipe)
    rows = [{"prompt": f"Where is river {number}?", "completion": f"Under bridge {number}."} for number in range(20)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}

    def said(*command: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=240
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    assert "at most 256 tokens a row" in said("loquela", "prepare-examples", "recipe.yaml")
    (folder,) = (path.parent for path in tmp_path.rglob("examples.jsonl"))
    (run,) = (path.name for path in (tmp_path / "data" / "runs").iterdir() if path.is_dir())
    shown = said("loquela", "data", "preview", run, "--examples")
    assert "<|im_start|>assistant\n«Under bridge " in shown.replace("│", "")
    assert json.loads((folder / "template.json").read_text())["name"] == "base"


def test_links_of_the_page_lead_to_headings() -> None:
    links = re.findall(r"\]\(([a-z-]*\.?m?d?)#([a-z-]+)\)", PAGE)
    assert links
    for file, heading in links:
        headings = re.findall(r"^#+ (.*)$", (DOCS / file).read_text() if file else PAGE, re.MULTILINE)
        assert heading in [re.sub(r"[^a-z -]", "", text.lower()).replace(" ", "-") for text in headings]
