"""`loquela resume` on training from scratch: proven by a recipe and by a run, gone on with, first difference shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_harness import Loquela

TINY = """\
name: tiny
data: {sources: "builtin:stories", stories: 40}
tokenizer: {vocab_size: 500}
model: {num_layers: 1, d_model: 16, num_heads: 2, dim_feedforward: 16, max_sequence_length: 16, dropout: 0.1}
train: {epochs: 1, max_steps: 4, batch_size: 4, checkpoint_every_steps: 2}
evaluate: {sample_tokens: 4}
compute: {threads: 1}
"""


def test_proven_and_gone_on_with(loquela: Loquela, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    proof = loquela("resume", "--prove", "tiny.yaml", "--steps", "4", "--json").json
    assert (proof["passed"], proof["steps"], proof["stopped_after"]) == (True, 4, 2)
    assert proof["compared"]["loss"] == 4 and proof["compared"]["weights"] > 3
    assert loquela("train", "tiny.yaml", "--resume", "auto", "-q").code == 0
    shown = loquela("resume", "--prove", "latest")
    assert shown.code == 0 and "the same bits everywhere" in shown.out
    (run,) = (tmp_path / "data" / "runs").iterdir()
    gone_on = loquela("resume", "latest", "--json", "-q")
    assert gone_on.json["run_id"] == run.name


def test_a_difference_is_shown_and_fails(loquela: Loquela, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    monkeypatch.setattr("loquela.training.resuming.restore_optimizer", lambda found, optimizer: None)
    outcome = loquela("resume", "--prove", "tiny.yaml", "--steps", "4")
    assert outcome.code == 5
    assert "first difference: loss at step 4" in outcome.out
    assert "is not the run that was never stopped" in outcome.err
