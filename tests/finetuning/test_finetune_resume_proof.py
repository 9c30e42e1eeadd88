"""`loquela resume --prove`: the same bits after a stop, and the first difference where they are not the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_tuning import tuning_context, tuning_recipe

from loquela.runs.resume_proof import ResumeProof, prove_resume
from toy_bases import toy_base


def proven(folder: Path) -> ResumeProof:
    lora = {"rank": 4, "alpha": 8, "dropout": 0.2}
    recipe = tuning_recipe(toy_base("llama"), folder, lora=lora)
    return prove_resume(recipe, tuning_context(folder, recipe).inputs, folder / "proof", 4)


def test_the_same_bits(tmp_path: Path) -> None:
    proof = proven(tmp_path)
    assert proof.passed and proof.first_difference is None
    assert (proof.steps, proof.stopped_after) == (4, 2)
    assert proof.compared["loss"] == proof.compared["order"] == 4
    assert proof.compared["weights"] == 28 and proof.compared["optimizer state"] == 84


def test_a_lost_optimizer_state_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loquela.finetuning.training.resuming.restore_optimizer", lambda found, optimizer: None)
    found = proven(tmp_path).first_difference
    assert found is not None and (found.what, found.step) == ("loss", 4)
    assert found.straight != found.resumed


def test_another_order_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from loquela.training import loader

    first = loader.example_indices
    calls: list[int] = []

    def drifting(digest, seed, epoch, places, count):
        calls.append(0)
        return first(digest, seed + (len(calls) > 6), epoch, places, count)

    monkeypatch.setattr(loader, "example_indices", drifting)
    found = proven(tmp_path).first_difference
    assert found is not None and found.what == "order" and found.step == 3
