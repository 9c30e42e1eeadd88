"""What people see on stderr is ours: no warning of a library that they cannot do anything about."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import flow_runs as flow
import yaml

from toy_bases import copied_base

ROWS = [(f"What is thing {name}?", f"It is {name}.") for name in ("red", "old", "new", "far", "low", "hot", "big")]
RECIPE = {
    "name": "quiet",
    "examples": {"sources": ["rows.jsonl"], "validation_fraction": 0.2},
    "finetune": {
        "base": "base",
        "lora": {"rank": 4, "alpha": 8, "dropout": 0.0},
        "epochs": 1,
        "gradient_accumulation_steps": 1,
        "proofs": {"canary_rows": 0},
        "merge": {"prompts": 1},
    },
    "evaluate": {"tuned": {"rows": 2, "max_new_tokens": 4, "bootstrap_samples": 100, "forgetting": False}},
    "compute": {"device": "cpu", "threads": 1, "precision": "fp32", "gradient_checkpointing": True},
}


def said(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*flow.PROGRAM, *arguments], cwd=home, env=flow.environment(home), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def test_no_library_speaks_to_the_user(tmp_path: Path) -> None:
    copied_base(tmp_path / "base")
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"prompt": q, "completion": a}) + "\n" for q, a in ROWS))
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
    done = said(tmp_path, "run", "recipe.yaml", "--resume", "never", "--json")
    assert done.stderr == ""
    run = json.loads(done.stdout)["directory"]
    artifact = str(Path(run) / "final_artifact")
    assert said(tmp_path, "generate", artifact, "--prompt", "What is", "--max-new-tokens", "2", "--json").stderr == ""
