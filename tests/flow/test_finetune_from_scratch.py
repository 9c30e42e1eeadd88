"""A model that `loquela train` made is a base: its folder goes into a fine-tuning as it is."""

from __future__ import annotations

import json
from pathlib import Path

import flow_runs as flow
import yaml

SCRATCH = {
    **flow.RECIPE,
    "name": "scratch",
    "model": {
        "num_layers": 2,
        "d_model": 32,
        "num_heads": 2,
        "dim_feedforward": 64,
        "max_sequence_length": 256,
        "positions": "rotary",
        "norm": "rmsnorm",
        "activation": "swiglu",
        "bias": False,
    },
}
ROWS = [(f"What is thing {name}?", f"It is {name}.") for name in ("red", "old", "new", "far", "low", "hot", "big")]


def test_a_model_made_here_is_tuned_verified_and_served(home: Path, here) -> None:
    (home / "scratch.yaml").write_text(yaml.safe_dump(SCRATCH), encoding="utf-8")
    made = here("train", "scratch.yaml", "--resume", "never", "--json")
    assert made.code == 0, made.err
    final = Path(json.loads(made.out)["directory"]) / "final"
    assert json.loads((final / "tokenizer_config.json").read_text())["split_special_tokens"] is True
    (home / "rows.jsonl").write_text("".join(json.dumps({"prompt": q, "completion": a}) + "\n" for q, a in ROWS))
    recipe = {
        "name": "tuned",
        "examples": {"sources": ["rows.jsonl"], "validation_fraction": 0.2},
        "finetune": {
            "base": str(final),
            "lora": {"rank": 8, "alpha": 16, "dropout": 0.0},
            "epochs": 2,
            "gradient_accumulation_steps": 1,
            "learning_rate": 0.01,
            "proofs": {"canary_rows": 0},  # too small to learn a row by heart
            "merge": {"prompts": 2},
        },
        "evaluate": {"tuned": {"rows": 2, "max_new_tokens": 8, "bootstrap_samples": 100, "forgetting": False}},
        "compute": {"device": "cpu", "threads": 1, "precision": "fp32"},
    }
    (home / "tuned.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    done = here("run", "tuned.yaml", "--resume", "never", "--json")
    assert done.code == 0, done.err
    run = Path(json.loads(done.out)["directory"])
    proofs = {each["name"]: each for each in json.loads((run / "preflight.json").read_text())}
    assert all(proof["passed"] for proof in proofs.values())
    assert "what is handed on reads those of its template" in proofs["template_parity"]["message"]
    for folder in ("adapter", "merged", "final_artifact"):
        settings = json.loads((run / folder / "tokenizer_config.json").read_text())
        assert "split_special_tokens" not in settings
        assert settings["eos_token"] == "<eos>"  # noqa: S105
    # The base itself is not touched.
    assert json.loads((final / "tokenizer_config.json").read_text())["split_special_tokens"] is True
    assert here("verify", str(run / "final_artifact")).code == 0
    said = here("generate", str(run), "--prompt", "### Instruction:", "--max-new-tokens", "4", "--json")
    assert said.code == 0, said.err
