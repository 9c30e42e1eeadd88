"""A session's batches, logits and gradients: learnt tokens alone, each sequence by itself, the same in any cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_tuning import token_sequences, tuning_session, write_examples

from loquela.artifacts.token_rows import TokenRow
from loquela.core.errors import DataError, RecipeError
from loquela.finetuning.training.attention import attend
from loquela.finetuning.training.collate import IGNORED, Collator, check_labels
from loquela.finetuning.training.rows import TuningRows, learnt_weights, open_rows
from toy_bases import toy_base


def row(*sequences: tuple[list[int], list[float]]) -> TokenRow:
    ids = np.array([token for ids, _ in sequences for token in ids], np.uint32)
    weights = np.array([weight for _, weights in sequences for weight in weights], np.float32)
    return TokenRow(
        tuple(f"e{i}" for i in range(len(sequences))), ids, weights, tuple(len(ids) for ids, _ in sequences)
    )


def test_the_first_token_of_a_sequence_is_never_learnt() -> None:
    packed = row(([5, 6, 7], [1, 0, 1]), ([8, 9], [1, 0.5]))
    assert learnt_weights(packed).tolist() == [0, 0, 1, 0, 0.5]
    rows = TuningRows([packed])
    assert (rows.label_tokens(np.array([0])), rows.weight(np.array([0]))) == (2, 1.5)


def test_both_layouts_by_hand() -> None:
    rows = [row(([5, 6, 7], [0, 1, 1])), row(([8, 9], [0, 1]))]
    padded = Collator(3, "padded")(rows)
    assert padded["input_ids"].tolist() == [[5, 6, 7], [8, 9, 3]]
    assert padded["labels"].tolist() == [[IGNORED, 6, 7], [IGNORED, 9, IGNORED]]
    assert padded["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    flat = Collator(3, "in_sequence")(rows)
    assert flat["input_ids"].tolist() == [[5, 6, 7, 8, 9]]
    assert flat["position_ids"].tolist() == [[0, 1, 2, 0, 1]]
    assert flat["labels"].tolist() == [[IGNORED, 6, 7, IGNORED, 9]]
    assert flat["lengths"].tolist() == [3, 2]
    assert "lengths" in Collator(3, "padded")([row(([1, 2], [0, 1]), ([3, 4], [0, 1]))])


@pytest.mark.parametrize("fault", ["lost", "made up", "another token", "weight"])
def test_a_batch_with_other_labels_is_refused(fault: str) -> None:
    rows = [row(([5, 6, 7], [0, 1, 1]))]
    batch = Collator(3, "padded")(rows)
    if fault == "lost":
        batch["labels"][0, 1] = IGNORED
    elif fault == "made up":
        batch["labels"][0, 0] = 5
    elif fault == "another token":
        batch["labels"][0, 1] = 9
    else:
        batch["weights"][0, 1] = 0.5
    with pytest.raises(DataError, match="is not what its rows say"):
        check_labels(batch, rows)


def test_rows_that_cannot_be_learnt_are_named(tmp_path: Path) -> None:
    base = toy_base("llama")
    examples = write_examples(tmp_path / "examples", base)
    assert open_rows(examples, "train", vocab_size=512, context=256).count == 7
    with pytest.raises(DataError, match="has the token .* the base has 20"):
        open_rows(examples, "train", vocab_size=20, context=256)
    with pytest.raises(DataError, match="the base sees 8"):
        open_rows(examples, "train", vocab_size=512, context=8)
    (examples / "report.json").unlink()
    with pytest.raises(DataError, match="no rows in the split test"):
        open_rows(examples, "test", vocab_size=512, context=256)


@pytest.mark.parametrize("window", [None, 3])
def test_attention_of_sequences_is_that_of_each_alone(window: int | None) -> None:
    torch.manual_seed(0)
    lengths = [5, 1, 7]
    query, key, value = torch.randn(1, 4, 13, 8), torch.randn(1, 2, 13, 8), torch.randn(1, 2, 13, 8)
    together = attend(query, key, value, lengths, window=window)
    places = torch.arange(13)
    owner = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths))
    back = places[:, None] - places[None, :]
    mask = (owner[:, None] == owner[None, :]) & (back >= 0) & (back < (window or 13))
    expected = F.scaled_dot_product_attention(
        query, key.repeat_interleave(2, 1), value.repeat_interleave(2, 1), attn_mask=mask
    )
    assert torch.allclose(together, expected.transpose(1, 2), atol=1e-6)


@pytest.mark.parametrize("shape", ["llama", "gpt2", "mixtral", "qwen3", "olmo2"])
def test_rows_together_give_the_logits_of_each_alone(tmp_path: Path, shape: str) -> None:
    session = tuning_session(tmp_path, shape=shape)
    rows = session.training_rows[:3]
    together = session.logits(session.batch(rows))
    start = 0
    for one in rows:
        alone = session.logits(session.batch([one]))[0]
        assert torch.allclose(together[0, start : start + len(one.ids)], alone, atol=2e-5)
        start += len(one.ids)


@pytest.mark.parametrize("attention", ["auto", "sdpa", "eager"])
def test_the_loss_is_the_mean_over_learnt_tokens(tmp_path: Path, attention: str) -> None:
    session = tuning_session(tmp_path, attention=attention, padding_free=False if attention != "auto" else "auto")
    rows = session.training_rows[:3]
    batch = session.batch(rows)
    losses = []
    for one in rows:
        ids = torch.from_numpy(one.ids.astype(np.int64))[None]
        logits = session.causal.logits(ids)[0]
        learnt = np.flatnonzero(learnt_weights(one))
        losses += [F.cross_entropy(logits[place - 1], ids[0, place]) for place in learnt.tolist()]
    assert float(session.loss(batch)) == pytest.approx(float(torch.stack(losses).mean()), abs=1e-5)


def test_weights_of_tokens_count(tmp_path: Path) -> None:
    session = tuning_session(tmp_path)
    one = session.training_rows[0]
    half = TokenRow(one.examples, one.ids, np.where(one.weights > 0, 0.5, 0).astype(np.float32), one.lengths)
    whole = session.loss(session.batch([one, session.training_rows[1]]))
    same = session.loss(session.batch([half]))
    assert float(same) == pytest.approx(float(session.loss(session.batch([one]))), abs=1e-6)
    mixed = session.loss(session.batch([half, session.training_rows[1]]))
    assert float(mixed) != pytest.approx(float(whole), abs=1e-6)


def test_gradients_are_the_same_in_any_cut(tmp_path: Path) -> None:
    session = tuning_session(tmp_path)
    rows = session.training_rows[:6]
    gradients = []
    for size in (6, 2, 1):
        cut = [session.batch(rows[i : i + size]) for i in range(0, 6, size)]
        loss = session.step_gradients(cut)
        gradients.append((loss, [p.grad.clone() for p in session.model.parameters() if p.grad is not None]))
    for loss, found in gradients[1:]:
        assert loss == pytest.approx(gradients[0][0], abs=1e-5)
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found, gradients[0][1], strict=True))


def test_packed_rows_are_the_same_gradient(tmp_path: Path) -> None:
    alone, packed = tuning_session(tmp_path), tuning_session(tmp_path, packed=2)
    assert len(packed.training_rows) == 4
    one = alone.step_gradients([alone.batch(alone.training_rows)])
    two = packed.step_gradients([packed.batch(packed.training_rows[:2]), packed.batch(packed.training_rows[2:])])
    assert one == pytest.approx(two, abs=1e-5)


def test_what_is_asked_for_and_does_not_hold(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="nothing would be paged"):
        tuning_session(tmp_path, optimizer="paged_adamw_8bit")
    with pytest.raises(ValueError, match="would need a mask"):
        tuning_session(tmp_path, attention="sdpa", padding_free=True)
    with pytest.raises(RecipeError, match="attention: flash_attention_2 is not possible here"):
        tuning_session(tmp_path, attention="flash_attention_2")


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "adafactor", "adamw_8bit"])
def test_every_optimizer_goes_on_from_its_saved_state(tmp_path: Path, optimizer: str) -> None:
    session = tuning_session(tmp_path, optimizer=optimizer)
    assert session.effective_settings()["optimizer"] == optimizer
    batch = session.batch(session.training_rows[:3])
    made = session.new_optimizer(1e-2)

    def step(with_optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
        session.step_gradients([batch])
        with_optimizer.step()
        return [p.detach().clone() for p in session.model.parameters() if p.requires_grad]

    step(made)
    session.save_state(tmp_path, made)
    straight = step(made)
    fresh = session.new_optimizer(1e-2)
    session.load_state(tmp_path, fresh)
    assert all(torch.equal(a, b) for a, b in zip(step(fresh), straight, strict=True))


def test_the_tokens_are_those_of_the_base() -> None:
    assert all(one.ids.max() < 512 and one.weights.sum() > 0 for one in token_sequences(toy_base("llama")))
