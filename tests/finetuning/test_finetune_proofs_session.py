"""Every proof holds for what the stage really trains with, whatever the method; faults planted there are found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import JsonValue
from tiny_tuning import tuning_session

from loquela.artifacts.proof import Proof
from loquela.core.errors import Interrupted
from loquela.finetuning.proofs.borrowed import trained_copy
from loquela.finetuning.proofs.canary import prove_canary
from loquela.finetuning.proofs.collated_labels import prove_collated_labels
from loquela.finetuning.proofs.isolation import prove_isolation
from loquela.finetuning.proofs.numbers import gradients_of, relative_difference
from loquela.finetuning.proofs.runner import run_proofs
from loquela.finetuning.proofs.settings import prove_settings
from loquela.finetuning.proofs.table import before_training
from loquela.finetuning.training.session import TuningSession
from loquela.finetuning.verification import compare_model_checksums, compute_model_state_checksum
from loquela.monitoring.events import SilentBus

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
CANARY: JsonValue = {"canary_rows": 6, "canary_steps": 60, "canary_learning_rate": 2e-2}
DORA: JsonValue = {"rank": 8, "alpha": 16, "dropout": 0.1, "dora": True}


def proven(session: TuningSession) -> list[Proof]:
    return [entry.prove(session) for entry in before_training(session.settings)]


@pytest.mark.parametrize(
    "finetune",
    [
        {},
        {"padding_free": True},
        {"method": "qlora"},
        {"method": "int8_lora"},
        {"method": "full"},
        {"optimizer": "sgd"},
        {"optimizer": "adamw_8bit"},
    ],
    ids=lambda finetune: " ".join(map(str, finetune.values())) or "lora",
)
def test_every_proof_holds_and_gives_the_model_back(tmp_path: Path, finetune: dict[str, JsonValue]) -> None:
    session = tuning_session(tmp_path, **{"proofs": CANARY, **finetune})
    weights, base = trained_copy(session.model), compute_model_state_checksum(session.model)
    proofs = proven(session)
    assert [(proof.name, proof.message) for proof in proofs if not proof.passed] == []
    assert all(torch.equal(value, weights[name]) for name, value in trained_copy(session.model).items())
    assert compare_model_checksums(base, compute_model_state_checksum(session.model)).none


@pytest.mark.parametrize("shape", ["gpt2", "mixtral", "qwen3"])
def test_packed_rows_of_every_shape_are_proven(tmp_path: Path, shape: str) -> None:
    session = tuning_session(tmp_path, packed=3, shape=shape)
    proofs = proven(session)
    assert [(proof.name, proof.message) for proof in proofs if not proof.passed] == []
    isolation = next(proof for proof in proofs if proof.name == "packing_isolation")
    assert isolation.numbers["max_difference_beside_other_tokens"] == 0.0


def test_dora_with_dropout_is_on_and_rehearsed(tmp_path: Path) -> None:
    session = tuning_session(tmp_path, lora=DORA, proofs={"canary_rows": 0})
    assert [(proof.name, proof.message) for proof in proven(session) if not proof.passed] == []


def test_a_request_to_stop_ends_a_proof_between_its_steps(tmp_path: Path) -> None:
    session = tuning_session(tmp_path, proofs=CANARY)
    weights, steps = trained_copy(session.model), []
    accumulate = session.runner.accumulate

    def counted(*given):
        steps.append(1)
        if len(steps) == 3:
            session.stop.request("SIGINT")
        return accumulate(*given)

    session.runner.accumulate = counted
    with pytest.raises(Interrupted, match=r"stopped by SIGINT before the training; what was proven is kept"):
        prove_canary(session)
    assert len(steps) == 3
    assert all(torch.equal(value, weights[name]) for name, value in trained_copy(session.model).items())
    with pytest.raises(Interrupted):
        run_proofs(session, before_training(session.settings), SilentBus(), "before")
    assert not (session.directory / "preflight.json").exists()


@pytest.mark.parametrize("scale", [1024.0, 2.0**127])
def test_gradients_have_no_loss_scale_in_them(tmp_path: Path, scale: float) -> None:
    session = tuning_session(tmp_path)
    batch = session.batch(session.training_rows[:2])
    loss = session.step_gradients([batch])
    expected = gradients_of(session.model)
    session.runner.scale = scale
    assert session.step_gradients([batch]) == loss
    assert relative_difference(expected, gradients_of(session.model))[0] < 1e-6
    assert session.runner.scale == scale


def test_lengths_that_are_forgotten_are_found(tmp_path: Path) -> None:
    session = tuning_session(tmp_path, packed=3)
    inner = session.collator

    class Forgets:
        pad_id = inner.pad_id
        weight_of = inner.weight_of

        def __call__(self, rows):
            batch = inner(rows)
            return {**batch, "lengths": batch["lengths"].sum()[None]} if "lengths" in batch else batch

    session.collator = Forgets()
    proof = prove_isolation(session)
    assert not proof.passed
    assert "see each other" in proof.message


def test_a_collator_that_masks_the_stop_token_is_found(tmp_path: Path) -> None:
    session = tuning_session(tmp_path, proofs=CANARY)
    inner, stop = session.collator, next(iter(session.stop_ids))

    class Masks:
        pad_id = inner.pad_id
        weight_of = inner.weight_of

        def __call__(self, rows):
            batch = inner(rows)
            stopped = batch["input_ids"] == stop
            masked = {"labels": batch["labels"].masked_fill(stopped, -100), "weights": batch["weights"] * ~stopped}
            return {**batch, **masked}

    session.collator = Masks()
    labels = prove_collated_labels(session)
    assert not labels.passed
    assert "is not learnt and should be" in labels.message
    canary = prove_canary(session)
    assert not canary.passed
    assert "end in a stop token" in canary.message


def test_another_rank_than_asked_for_is_found(tmp_path: Path) -> None:
    session = tuning_session(tmp_path)
    asked = session.settings.model_copy(update={"lora": session.settings.lora.model_copy(update={"rank": 8})})
    proof = prove_settings(replace(session, settings=asked))
    assert not proof.passed
    assert "finetune.lora.rank is 8 and 4 holds" in proof.message
