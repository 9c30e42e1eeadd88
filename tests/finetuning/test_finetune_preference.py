"""dpo and kto: TRL's numbers, the base as reference, margins that rise, resume exact, and faults that are caught."""

from __future__ import annotations

import json
import math
from contextlib import nullcontext

import numpy as np
import pytest
import torch
import trl
from pydantic import ValidationError
from tiny_preferences import preference_context, preference_session, write_preferences

from loquela.artifacts.token_rows import TokenRow
from loquela.core.errors import DataError, Interrupted, ProofError, RecipeError
from loquela.finetuning.proofs.preference import prove_preference_canary, prove_preference_loss
from loquela.finetuning.stage import finetune
from loquela.finetuning.training import preference_loss
from loquela.finetuning.training.preference_rows import mismatched, open_pairs
from loquela.monitoring.events import EventBus
from loquela.recipe.finetune_section import FinetuneSection
from loquela.training.loader import LoaderSettings

CANARY = {"proofs": {"canary_rows": 4, "canary_steps": 25, "canary_learning_rate": 2e-2, "rehearsal": True}}


def moved(session, size=0.05):
    """The adapter at some other place than its beginning."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in session.model.parameters():
            if parameter.requires_grad:
                parameter.add_(size * torch.randn(parameter.shape, generator=generator))
    return session


def padded(rows):
    """The sequences of `rows` as TRL's collators lay them out."""
    sequences = [part for row in rows for part in preference_parts(row)]
    longest = max(len(each.ids) for each in sequences)

    def filled(values):
        return torch.tensor([[*each, *[0] * (longest - len(each))] for each in values])

    return {
        "input_ids": filled([each.ids.astype(int).tolist() for each in sequences]),
        "attention_mask": filled([[1] * len(each.ids) for each in sequences]),
        "completion_mask": filled([(each.weights != 0).astype(int).tolist() for each in sequences]),
    }


def preference_parts(row):
    from loquela.finetuning.training.preference_rows import parts_of

    return parts_of(row)


@pytest.mark.parametrize("loss", ["sigmoid", "hinge", "ipo"])
def test_pairs_cost_what_trl_says(tmp_path, loss):
    session = moved(preference_session(tmp_path, "dpo", preference={"loss": loss, "beta": 0.3}))
    rows = session.training_rows[:3]
    ours = float(session.loss(session.batch(rows)))
    batch = padded(rows)
    # TRL wants all chosen answers before all rejected ones.
    order = [*range(0, 6, 2), *range(1, 6, 2)]
    trainer = session.runner.trainer
    stock = trl.DPOTrainer._compute_loss(trainer, session.model, {k: v[order] for k, v in batch.items()}, False)
    assert trainer.loss_types == [loss]
    assert ours == pytest.approx(float(stock.detach()), rel=1e-4)


@pytest.mark.parametrize("loss", ["kto", "apo_zero_unpaired"])
def test_judged_answers_cost_what_trl_says(tmp_path, loss):
    options = {"loss": loss, "beta": 0.3, "desirable_weight": 1.5, "undesirable_weight": 0.5}
    session = moved(preference_session(tmp_path, "kto", preference=options))
    rows = session.training_rows[:4]
    trainer = session.runner.trainer
    trainer.loss_type, trainer.calculate_KL = loss, loss == "kto"
    trainer.desirable_weight, trainer.undesirable_weight = 1.5, 0.5
    batch = padded(rows)
    others = padded([session.collator.others[row.examples[0]] for row in rows]) if loss == "kto" else {}
    judged = [session.collator.good[row.examples[0]] for row in rows]
    inputs = {**batch, **{f"KL_{k}": v for k, v in others.items()}, "label": torch.tensor(judged)}
    stock = trl.KTOTrainer._compute_loss(trainer, session.model, inputs, False)
    assert float(session.loss(session.batch(rows))) == pytest.approx(float(stock.detach()), rel=1e-4)


@pytest.mark.parametrize(
    ("task", "preference", "expected"),
    [
        ("dpo", {}, math.log(2)),
        ("dpo", {"label_smoothing": 0.1}, math.log(2)),
        ("dpo", {"loss": "hinge"}, 1.0),
        ("dpo", {"loss": "ipo", "beta": 0.5}, 1.0),
        ("kto", {}, 0.5),
        ("kto", {"desirable_weight": 3.0}, 1.0),
    ],
)
def test_a_new_adapter_is_its_base(tmp_path, task, preference, expected):
    session = preference_session(tmp_path, task, preference=preference)
    assert float(session.loss(session.batch(session.training_rows[:2]))) == pytest.approx(expected, abs=1e-6)


def test_the_mismatched_answer_is_that_of_the_row_before():
    def row(name, prompt, answer):
        ids = np.array([*prompt, *answer], np.uint32)
        weights = np.array([0.0] * len(prompt) + [1.0] * len(answer), np.float32)
        return TokenRow((name,), ids, weights, (len(ids),))

    found = mismatched([row("a", [1, 2], [3]), row("b", [4], [5, 6]), row("c", [7], [8])], context=3)
    assert {name: each.ids.tolist() for name, each in found.items()} == {"a": [1, 2, 8], "b": [4, 3], "c": [7, 5, 6]}
    assert found["c"].weights.tolist() == [0, 1, 1]


@pytest.mark.parametrize("task", ["dpo", "kto"])
def test_a_training_lowers_the_loss_and_raises_the_margins(tmp_path, task):
    context = preference_context(tmp_path, task, **CANARY, epochs=4)
    result = finetune(context)
    records = [json.loads(line) for line in (context.run_directory / "metrics.jsonl").read_text().splitlines()]
    losses = [record["loss"] for record in records if record.get("loss") is not None]
    assert losses[-1] < losses[0]
    proofs = {proof["name"]: proof for proof in json.loads((context.run_directory / "preflight.json").read_text())}
    assert proofs["preference_canary"]["numbers"]["mean_margin"] > 0
    assert proofs["preference_loss"]["passed"] and proofs["rehearsal"]["passed"] and proofs["base_unchanged"]["passed"]
    assert "canary" not in proofs and "loss_as_defined" not in proofs
    assert ("accumulation_invariance" in proofs) == (task == "dpo")
    assert result.facts["task"] == task
    after = preference_session(tmp_path, task)
    from loquela.finetuning.training.adapter_folder import read_into

    read_into(after.causal, context.run_directory / "adapter", after.published)
    margins = after.runner.trainer.loquela_loss.compare(after.batch(after.training_rows)).margins
    assert float(margins.mean()) > 0


@pytest.mark.parametrize("task", ["dpo", pytest.param("kto", marks=pytest.mark.slow)])
def test_a_resumed_training_is_the_straight_one(tmp_path, task):
    dropping = {"lora": {"rank": 4, "alpha": 8, "dropout": 0.2}}
    finetune(preference_context(tmp_path, task, run="straight", **dropping))
    bus = EventBus()
    context = preference_context(tmp_path, task, run="stopped", bus=bus, **dropping)

    def stop(event):
        if event.name == "training_orchestrator.step_complete.v1" and event.data["step"] == 2:
            context.stop.request("SIGINT")

    bus.subscribe(stop)
    with pytest.raises(Interrupted):
        finetune(context)
    finetune(preference_context(tmp_path, task, run="stopped", **dropping))
    weights = [
        (tmp_path / run / "adapter" / "adapter_model.safetensors").read_bytes() for run in ("straight", "stopped")
    ]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("shape", "task", "loss"),
    [
        ("llama", "dpo", "sigmoid"),
        ("gpt2", "dpo", "hinge"),
        ("qwen3", "dpo", "ipo"),
        ("llama", "kto", "apo_zero_unpaired"),
    ],
)
def test_the_loss_is_that_of_its_definition(tmp_path, shape, task, loss):
    session = preference_session(tmp_path, task, shape=shape, preference={"loss": loss})
    proof = prove_preference_loss(session)
    assert proof.passed, proof.message
    assert proof.numbers["relative_difference"] < 1e-3


@pytest.mark.parametrize("task", ["dpo", "kto"])
def test_answers_the_wrong_way_round_are_caught(tmp_path, monkeypatch, task):
    if task == "dpo":
        joined = preference_rows_joined()
        monkeypatch.setattr("loquela.finetuning.training.preference_rows._joined", lambda a, b: joined(b, a))
    else:
        judged = preference_loss_judgements()
        turned = lambda examples: {name: not good for name, good in judged(examples).items()}  # noqa: E731
        monkeypatch.setattr("loquela.finetuning.training.tasks.judgements", turned)
    session = preference_session(tmp_path, task, **CANARY)
    proof = prove_preference_canary(session)
    assert not proof.passed
    assert "answers that the examples call better lose" in proof.message
    assert "the right way round" in proof.remedy
    assert prove_preference_loss(session).passed == (task == "kto")
    named = "preference_loss: training reports a loss" if task == "dpo" else "preference_canary: the answers that"
    with pytest.raises(ProofError, match=named):
        finetune(preference_context(tmp_path, task, run="turned", **CANARY))


def preference_rows_joined():
    from loquela.finetuning.training.preference_rows import _joined

    return _joined


def preference_loss_judgements():
    from loquela.finetuning.training.preference_rows import judgements

    return judgements


def test_a_reference_that_is_not_the_base_is_caught(tmp_path, monkeypatch):
    monkeypatch.setattr(preference_loss, "reference", lambda module: nullcontext())
    proof = prove_preference_loss(preference_session(tmp_path, "dpo"))
    assert not proof.passed
    assert proof.numbers["relative_difference"] > 1e-3


def test_rows_count_alike_however_long(tmp_path):
    from loquela.finetuning.training.loader import TuningLoader

    session = preference_session(tmp_path, "dpo")
    loader = TuningLoader(session.train, session.collator, "d", 1, LoaderSettings(3, 1))
    assert loader.plan(0).weight == 3
    assert loader.micro_batches(0)[0].weight == 3
    assert session.batch(session.training_rows[:3])["lengths"].shape == (6,)


def test_what_cannot_be_compared_is_named(tmp_path):
    from loquela.artifacts.token_rows import TokenSequence, write_token_rows

    examples = write_preferences(tmp_path, "dpo") / "examples"
    ids, weights = np.array([5, 6, 7], np.uint32), np.array([0, 1, 1], np.float32)
    write_token_rows(examples, "train", [[TokenSequence("e9", ids, weights, "chosen")]])
    with pytest.raises(DataError, match="example e9 of train has only the chosen answer"):
        open_pairs(examples, "train", vocab_size=512, context=256)
    write_token_rows(examples, "train", [[TokenSequence("e9", ids, weights)]])
    with pytest.raises(DataError, match="example e9 of train has a sequence that is neither of two"):
        open_pairs(examples, "train", vocab_size=512, context=256)
    with pytest.raises(RecipeError, match="lays answers one after another, which attention: eager cannot do"):
        preference_session(tmp_path / "other", "dpo", attention="eager")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"task": "dpo", "preference": {"loss": "kto"}}, "kto is no loss of task: dpo; it must be one of sigmoid"),
        ({"preference": {"loss": "ipo"}}, "ipo is no loss of task: sft; it must be left out"),
        ({"task": "kto", "preference": {"label_smoothing": 0.1}}, "label_smoothing is for task: dpo"),
        ({"task": "dpo", "method": "full"}, "compares with the base, which is the model with its adapter off"),
    ],
)
def test_settings_that_do_not_go_together(settings, said):
    with pytest.raises(ValidationError, match=said):
        FinetuneSection.model_validate({"base": "x", **settings})
