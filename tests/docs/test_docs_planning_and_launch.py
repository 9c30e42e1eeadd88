"""The pages on planning and launching: their recipes and commands work, and they name every key there is."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from loquela.cli.main import answer
from loquela.finetuning.planning.memory import TuningMemory
from loquela.recipe.cloud_section import CloudSection
from loquela.recipe.finetune_section import PREFERENCE_LOSSES

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["planning", "launch"])
def test_what_the_page_shows_works(page, tmp_path, monkeypatch, capsys):
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (shell,) = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "recipe.yaml").write_text(recipe)
    rows = [{"prompt": "p" * 900, "completion": "c" * 900} for _ in range(200)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    for command in shell.splitlines():
        assert answer(shlex.split(command)[1:]) == 0, capsys.readouterr().err
    after = (tmp_path / "recipe.yaml").read_text()
    assert ("# as many rows as a step should have" in after) == (page == "planning")


def test_every_part_and_key_is_named():
    planning = (DOCS / "planning.md").read_text(encoding="utf-8")
    assert [part for part in TuningMemory.model_fields if part not in planning] == []
    launch = (DOCS / "launch.md").read_text(encoding="utf-8")
    told = {"region", "spot", "disk_gb", "image"}  # their names say what they are
    assert [key for key in CloudSection.model_fields if key not in launch and key not in told] == []
    tuning = (DOCS / "fine-tuning.md").read_text(encoding="utf-8")
    assert [loss for losses in PREFERENCE_LOSSES.values() for loss in losses if f"`{loss}`" not in tuning] == []
