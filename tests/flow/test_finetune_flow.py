"""From documents to a verified artifact by the command line: a tiny base, rules that ask, every stage once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from toy_bases import copied_base

PUMPS = ("Anvil", "Bolero", "Cascade", "Delta", "Ember", "Falcon", "Granite", "Harbour")
RECIPE = {
    "name": "bot",
    "data": {
        "sources": ["docs"],
        "validation_fraction": 0.2,
        "corpus_size_mb": 1,
        "splitter": {"method": "recursive", "chunk_size": 600},
    },
    "qa": {"provider": "offline", "pairs_per_chunk": 2, "rows": "closed_book", "unanswerable_share": 0},
    "examples": {"max_tokens": 250, "on_overlong": "drop"},
    "finetune": {
        "base": "base",
        "lora": {"rank": 8, "alpha": 16, "dropout": 0.0},
        "epochs": 2,
        "batch_size": 4,
        "gradient_accumulation_steps": 1,
        "learning_rate": 0.01,
        "proofs": {
            "canary_rows": 2,
            "canary_steps": 60,
            "canary_learning_rate": 0.02,
            "canary_min_reproduced": 0.5,
        },
        "merge": {"prompts": 2},
    },
    "evaluate": {"tuned": {"rows": 4, "max_new_tokens": 8, "bootstrap_samples": 100, "forgetting": False}},
    "compute": {"device": "cpu", "threads": 1, "linear_kernel": "torch", "precision": "fp32"},
    "track": ["tensorboard"],
}


def write_documents(folder: Path) -> None:
    folder.mkdir()
    for number, name in enumerate(PUMPS):
        text = (
            f"# The {name} pump\n\n"
            f"The {name} pump is a machine for clean water that stands in the cellar of the house. "
            f"It was built by the company Northwind in {1950 + number} for the town of Riverside. "
            f"In {1960 + number} the workers of the town gave it a second valve of bronze and steel. "
            f"Its pressure reaches {number + 3} bar, and its motor turns {900 + 10 * number} times in a minute.\n"
        )
        (folder / f"{name.lower()}.md").write_text(text, encoding="utf-8")


@pytest.fixture
def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "a home"
    home.mkdir()
    write_documents(home / "docs")
    copied_base(home / "base")
    (home / "recipe.yaml").write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
    monkeypatch.chdir(home)
    return home


def test_documents_become_a_verified_adapter_and_nothing_is_made_twice(bot: Path, here) -> None:
    done = here("run", "recipe.yaml", "--resume", "never", "--json")
    assert done.code == 0, done.err
    run = Path(json.loads(done.out)["directory"])
    assert {path.name for path in run.iterdir()} >= {
        "preflight.json", "adapter", "eval", "merged", "final_artifact", "metrics.jsonl", "tensorboard", "tracking.json"
    }  # fmt: skip
    proofs = {each["name"]: each["passed"] for each in json.loads((run / "preflight.json").read_text())}
    assert all(proofs.values()) and "canary" in proofs
    assert (run / "final_artifact" / "README.md").is_file()
    assert here("verify", str(run)).code == 0
    assert here("verify", str(run / "final_artifact")).code == 0

    again = here("run", "recipe.yaml", "--resume", "auto", "--json")
    assert again.code == 0, again.err
    stages = json.loads(again.out)["manifest"]["stages"]
    assert set(stages) == {"base", "ingest", "qa", "examples", "finetune", "compare", "merge", "package"}
    assert all(record["reused"] for record in stages.values())

    weights = run / "final_artifact" / "adapter_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    refused = here("verify", str(run / "final_artifact"))
    assert refused.code in (3, 5)
    assert "adapter_model.safetensors" in refused.out + refused.err


def test_a_wrong_base_is_said_and_nothing_is_lost(bot: Path, here) -> None:
    failed = here("run", "recipe.yaml", "--resume", "never", "--set", "finetune.base=no/such folder")
    assert failed.code in (2, 3)
    assert "no/such folder" in failed.err
