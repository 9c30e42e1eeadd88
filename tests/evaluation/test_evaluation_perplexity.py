"""Loss, perplexity, bits per byte, accuracy and F1 against numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from loquela.artifacts.manifest import write_manifest
from loquela.artifacts.shards import ShardsFacts, ShardWriter, TokenShards, dtype_name
from loquela.core.errors import DataError, ProofError
from loquela.evaluation.contracts import ValidationRunnerRequest
from loquela.evaluation.perplexity import measure, windows
from loquela.evaluation.runner import ValidationRunner
from loquela.monitoring.events import EventBus, SilentBus
from loquela.training.rows import Rows
from toy_language import BigramModel, uniform_model


def make_shards(directory, documents, *, vocab_size=260, shard_tokens=7, split="validation"):
    """Shards of the (ids, bytes) in `documents`; small shards, so that windows cross their ends."""
    with ShardWriter(directory, split, vocab_size, shard_tokens) as writer:
        for ids, size in documents:
            writer.write(ids, size)
    facts = ShardsFacts(vocab_size=vocab_size, dtype=dtype_name(vocab_size), eos_id=3, splits={split: writer.facts})
    write_manifest(directory, "shards", facts=facts.model_dump(mode="json"))
    return TokenShards(directory, split)


def four_token_model(window=4):
    """Of the ids 3, 4, 5: after 3 comes 4 (½) or 5 (hardly less); after 4 always 5; after 5 comes 3 (¾) or 4 (¼)."""
    table = torch.zeros(6, 6)
    table[3, 4], table[3, 5] = 0.5 + 1e-4, 0.5 - 1e-4
    table[4, 5] = 1.0
    table[5, 3], table[5, 4] = 0.75, 0.25
    return BigramModel(table, window)


@pytest.mark.parametrize("window", [2, 3, 4, 7, 64])
def test_golden_numbers_whatever_the_window(tmp_path, window):
    # stream 4 5 3 | 5 4 5 3, whose targets 5 3 5 4 5 3 have p = 1 ¾ ½ ¼ 1 ¾; the likeliest are 5 3 4 3 5 3.
    shards = make_shards(tmp_path, [([4, 5], 2), ([5, 4, 5], 5)], vocab_size=6, shard_tokens=3)
    found = measure(four_token_model(window), shards)
    nats = -math.log(0.75 * (0.5 - 1e-4) * 0.25 * 0.75)
    assert found.target_tokens == 6
    assert found.loss == pytest.approx(nats / 6, rel=1e-5)
    assert found.perplexity == pytest.approx(math.exp(nats / 6), rel=1e-5)
    assert found.text_bytes == 7
    assert found.bits_per_byte == pytest.approx(nats / 7 / math.log(2), rel=1e-5)
    assert found.accuracy == pytest.approx(4 / 6)
    # id 3: right 2, predicted 3, target 2 → 4/5; id 4: right 0 → 0; id 5: right 2, predicted 2, target 3 → 4/5
    assert found.f1_score == pytest.approx((4 / 5 + 0 + 4 / 5) / 3)


def test_the_uniform_model_has_the_perplexity_of_its_vocabulary(tmp_path):
    shards = make_shards(tmp_path, [(list(range(4, 40)), 36)])
    found = measure(uniform_model(260), shards, classes=False)
    assert found.perplexity == pytest.approx(260, rel=1e-5)
    assert found.bits_per_byte == pytest.approx(math.log2(260), rel=1e-5)  # 36 targets, 36 bytes
    assert (found.accuracy, found.f1_score) == (None, None)


@pytest.mark.parametrize("context", [1, 5, 6, 7, 100])
def test_every_token_but_the_first_is_a_target_once(tmp_path, context, monkeypatch):
    monkeypatch.setattr("loquela.evaluation.perplexity.TOKENS_AT_ONCE", 12)
    documents = [(list(range(4 + n, 10 + 2 * n)), 1) for n in range(5)]
    shards = make_shards(tmp_path, documents)
    stream = shards.read(0, shards.tokens_total)
    tokens = [t for block, _ in windows(shards, context) for t in block.flatten().tolist()]
    targets = [t for _, block in windows(shards, context) for t in block.flatten().tolist()]
    kept = [(a, b) for a, b in zip(tokens, targets, strict=True) if b != -100]
    assert kept == list(zip(stream[:-1].tolist(), stream[1:].tolist(), strict=True))
    assert len(targets) - len(kept) < context


@pytest.mark.parametrize("context", [1, 3, 8, 50])
def test_windows_are_the_rows_of_training(tmp_path, context):
    shards = make_shards(tmp_path, [(list(range(4, 20)), 1), (list(range(30, 37)), 1)])
    rows = Rows(shards, context)
    blocks = list(windows(shards, context))
    tokens, targets = rows.batch(np.arange(rows.count))
    assert torch.equal(torch.cat([block for block, _ in blocks]), torch.from_numpy(tokens))
    assert torch.equal(torch.cat([block for _, block in blocks]), torch.from_numpy(targets))


def runner_with(model, shards, bus):
    runner = ValidationRunner(bus)
    return runner, runner.add_model(model), runner.add_loader(shards)


def test_the_runner_gives_what_was_asked_and_traces_it(tmp_path):
    events, bus = [], EventBus()
    bus.subscribe(lambda event: events.append(event.name))
    runner, model, loader = runner_with(uniform_model(260), make_shards(tmp_path, [([5, 6], 2)]), bus)
    request = ValidationRunnerRequest(model_id=model, validation_loader_id=loader, evaluation_metrics=["perplexity"])
    metrics = runner.run(request).metrics
    assert metrics.perplexity == pytest.approx(260, rel=1e-5)
    assert (metrics.accuracy, metrics.f1_score) == (None, None)
    assert events == ["validation_runner.validation_start.v1", "validation_runner.validation_complete.v1"]
    both = request.model_copy(update={"evaluation_metrics": ["accuracy", "f1"]})
    assert runner.run(both).metrics.accuracy == 0.0


def test_a_model_of_nan_cannot_be_measured(tmp_path):
    model = uniform_model(260)
    with torch.no_grad():
        model.log_table.fill_(math.nan)
    events, bus = [], EventBus()
    bus.subscribe(lambda event: events.append((event.name, event.data.get("error_code"))))
    runner, key, loader = runner_with(model, make_shards(tmp_path, [([5, 6], 2)]), bus)
    with pytest.raises(ProofError, match="the loss on the validation split is nan") as caught:
        runner.run(
            ValidationRunnerRequest(model_id=key, validation_loader_id=loader, evaluation_metrics=["perplexity"])
        )
    assert caught.value.code == "METRIC_COMPUTATION_ERROR"
    assert events[-1] == ("validation_runner.validation_failed.v1", "METRIC_COMPUTATION_ERROR")


def test_a_perplexity_beyond_numbers_is_said(tmp_path):
    model = uniform_model(260)
    with torch.no_grad():
        model.log_table.zero_()
        model.log_table[:, 7] = 5000.0
    with pytest.raises(ProofError, match="perplexity is too large"):
        measure(model, make_shards(tmp_path, [([5, 6], 2)]))


def test_an_empty_split_and_a_foreign_vocabulary_are_refused(tmp_path):
    with pytest.raises(DataError, match="the validation split has 0 tokens"):
        measure(uniform_model(260), make_shards(tmp_path / "none", []))
    with pytest.raises(DataError, match="a vocabulary of 260 tokens, the model of 100"):
        measure(uniform_model(100), make_shards(tmp_path / "some", [([5, 6], 2)]))


def test_unknown_ids_and_no_metrics_are_refused(tmp_path):
    runner, model, loader = runner_with(uniform_model(260), make_shards(tmp_path, [([5, 6], 2)]), SilentBus())
    with pytest.raises(DataError, match="the validation runner has no loader") as caught:
        runner.run(ValidationRunnerRequest(model_id=model, validation_loader_id=model, evaluation_metrics=["accuracy"]))
    assert caught.value.code == "EVALUATION_FAILED"
    with pytest.raises(ValidationError, match="at least 1 item"):
        ValidationRunnerRequest(model_id=model, validation_loader_id=loader, evaluation_metrics=[])
