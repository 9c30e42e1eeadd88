"""The evaluate stage on a tiny real run, and the process that measures its budgets."""

import json
import math
import subprocess
import sys

import pytest

from loquela.artifacts.context import StageContext
from loquela.artifacts.manifest import write_manifest
from loquela.artifacts.shards import TokenShards
from loquela.artifacts.training_records import EpochMetrics, TrainingMetrics
from loquela.artifacts.validation_results import ValidationResults
from loquela.core.atomic import write_text
from loquela.core.errors import DataError, Interrupted, ProofError
from loquela.evaluation.budget_process import percentile
from loquela.evaluation.budgets import judge, measure_budgets
from loquela.evaluation.contracts import BudgetMeasurement, BudgetReport, EvaluationReport, Sample
from loquela.evaluation.convergence import convergence_report
from loquela.evaluation.stage import evaluate
from loquela.evaluation.tokenization import documents_of, tokenization_report
from loquela.inference.open import open_engine
from loquela.monitoring.events import EventBus
from loquela.recipe.budget_section import BudgetSection
from loquela.recipe.schema import Recipe
from loquela.tokenizers.load import load_tokenizer
from toy_run import TEXTS, make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("evaluated") / "run")


def context_of(run, output, **evaluate_settings):
    events, bus = [], EventBus()
    bus.subscribe(events.append)
    recipe = Recipe.model_validate(
        {"evaluate": {"prompts": ["The", "La"], "sample_tokens": 12} | evaluate_settings, "seed": 3}
    )
    inputs = {"checkpoint": run / "final", "tokenizer": run / "tokenizer", "shards": run / "shards"}
    return StageContext(recipe=recipe, bus=bus, inputs=inputs, output=output, run_directory=run), events


def history(run, *losses, train=4.0):
    epochs = [
        EpochMetrics(
            epoch_number=n, train_loss=train, validation_loss=loss, learning_rate=1e-3, elapsed_seconds=1,
            gradient_norm=1.0,
        )
        for n, loss in enumerate(losses, 1)
    ]  # fmt: skip
    write_text(run / "training_metrics.json", TrainingMetrics(run_id="r", epoch_history=epochs).model_dump_json())


@pytest.fixture(scope="module")
def evaluated(run, tmp_path_factory):
    """One whole evaluation: its folder, result and events."""
    output = tmp_path_factory.mktemp("report")
    history(run, 9.0, 8.0, 7.0)
    context, events = context_of(run, output)
    return output, evaluate(context), events


def test_the_report_is_whole_and_agrees_with_itself(run, evaluated):
    output, result, events = evaluated
    report = EvaluationReport.model_validate_json((output / "metrics.json").read_bytes())
    budgets = BudgetReport.model_validate_json((output / "budgets.json").read_bytes())
    results = ValidationResults.model_validate_json((output / "validation_results.json").read_bytes())
    samples = [Sample.model_validate_json(line) for line in (output / "samples.jsonl").read_text().splitlines()]
    vocabulary = open_engine(run).tokenizer.vocab_size
    assert report.validation.loss == pytest.approx(math.log(vocabulary), abs=0.2)  # untrained: nearly uniform
    assert report.validation.perplexity == pytest.approx(math.exp(report.validation.loss))
    assert report.validation.bits_per_byte == pytest.approx(
        report.validation.loss * report.validation.target_tokens / sum(len(t.encode()) for t in TEXTS) / math.log(2)
    )
    assert 0 <= report.validation.accuracy <= 1
    assert [sample.prompt for sample in samples] == ["The", "La"]
    assert results.sample_generations == [sample.prompt + sample.output for sample in samples]
    assert results.final_val_loss == 7.0  # the last that training measured, see the history above
    assert results.final_train_loss == 4.0
    assert results.constitutional_compliance == budgets.constitutional_compliance
    assert results.inference_metrics.rss_mb == math.ceil(budgets.measurement.rss_mb)
    assert 20 < budgets.measurement.rss_mb <= budgets.measurement.peak_mb
    assert budgets.measurement.tokens > 0
    assert result.facts["validation"]["loss"] == report.validation.loss
    page = (output / "report.md").read_text()
    assert f"{report.validation.bits_per_byte:.4f}" in page
    assert "| rss_mb |" in page
    names = [event.name for event in events]
    assert "validation_runner.validation_complete.v1" in names
    assert names.count("generation.sample.v1") == 2


def test_missed_budgets_are_verdicts_and_a_loss_gate_is_an_error(run, tmp_path, evaluated):
    history(run, 1.0, 1.5, train=0.5)
    budgets = {"latency_p95_ms": 1e-6, "tokens_per_second": 1e9, "rss_mb": 1.0, "peak_mb": 1e6}
    context, _ = context_of(run, tmp_path, budgets=budgets, max_validation_loss=2.0)
    write_manifest(tmp_path, "report")
    with pytest.raises(ProofError, match=r"the validation loss is 5\.\d+, evaluate\.max_validation_loss allows 2;"):
        evaluate(context)
    assert not (tmp_path / "manifest.json").exists()  # that of an older report would vouch for the wrong files
    found = BudgetReport.model_validate_json((tmp_path / "budgets.json").read_bytes())
    assert {verdict.name: verdict.met for verdict in found.verdicts} == {
        "latency_p95_ms": False, "tokens_per_second": False, "rss_mb": False, "peak_mb": True,
    }  # fmt: skip
    assert not found.constitutional_compliance
    page = (tmp_path / "report.md").read_text()
    assert "validation perplexity did not fall: 2.72 after the first epoch" in page
    assert "overfitting" in page
    assert "the model after epoch 1 was better: validation loss 1.0000, against 5." in page
    assert "budget missed: rss_mb" in page
    # The same seed: the same texts and numbers as in the other evaluation, whatever its limits were.
    assert (tmp_path / "samples.jsonl").read_text() == (evaluated[0] / "samples.jsonl").read_text()
    one, two = (json.loads((folder / "metrics.json").read_text()) for folder in (tmp_path, evaluated[0]))
    assert one["validation"] == two["validation"]


def test_a_stop_request_ends_the_evaluation(run, tmp_path):
    context, events = context_of(run, tmp_path)
    context.stop.request("SIGINT")
    with pytest.raises(Interrupted, match=r"stopped while evaluating \(SIGINT\)"):
        evaluate(context)
    assert list(tmp_path.iterdir()) == []
    assert "validation_runner.validation_complete.v1" not in [event.name for event in events]


def measurement(**changes):
    values = {
        "tokens": 9, "threads": 1, "latency_p50_ms": 1.0, "latency_p95_ms": 50.0, "tokens_per_second": 50.0,
        "rss_mb": 400.0, "peak_mb": 512.0, "cold_start_seconds": 1.0,
    }  # fmt: skip
    return BudgetMeasurement.model_validate(values | changes)


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({}, []),
        ({"latency_p95_ms": 50.01}, ["latency_p95_ms"]),
        ({"tokens_per_second": 49.9}, ["tokens_per_second"]),
        ({"rss_mb": 401.0, "peak_mb": 513.0}, ["rss_mb", "peak_mb"]),
    ],
)
def test_budgets_hold_up_to_their_limits(changes, missed):
    report = judge(measurement(**changes), BudgetSection())
    assert [verdict.name for verdict in report.verdicts if not verdict.met] == missed
    assert report.constitutional_compliance == (not missed)


def test_a_model_that_does_not_open_is_told_by_its_process(run, tmp_path):
    with pytest.raises(ProofError, match="exit code 3: no such folder") as caught:
        measure_budgets(tmp_path / "absent", run / "tokenizer")
    assert caught.value.code == "INFERENCE_FAILED"
    with pytest.raises(ProofError, match="still running after"):
        measure_budgets(run / "final", run / "tokenizer", timeout_seconds=0.01)


def test_the_budget_process_loads_nothing_heavy_besides_torch():
    code = (
        "import sys; from loquela.evaluation import budget_process;"
        "sys.exit(bool({'transformers', 'matplotlib', 'pandas', 'httpx', 'rich'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_percentiles_by_nearest_rank():
    values = [float(n) for n in range(20, 0, -1)]
    assert (percentile(values, 0.95), percentile(values, 0.5), percentile([7.0], 0.95)) == (19.0, 10.0, 7.0)


@pytest.mark.parametrize(
    ("losses", "train", "converged", "overfitting"),
    [
        ([5.0, 4.0, 3.0], 3.0, False, False),
        ([3.02, 3.0, 3.01], 3.0, True, False),
        ([3.0, 3.0], 3.0, False, False),
        ([3.0, 3.2, 3.6], 3.05, False, True),
    ],
)
def test_flags_from_the_training_history(tmp_path, losses, train, converged, overfitting):
    history(tmp_path, *losses, train=train)
    found = convergence_report(tmp_path)
    assert (found.convergence_achieved, found.overfitting_detected) == (converged, overfitting)
    assert (found.epochs, found.first_validation_loss) == (len(losses), losses[0])


def test_no_history_is_nulls_and_a_damaged_one_an_error(tmp_path):
    assert convergence_report(tmp_path).convergence_achieved is None
    write_text(tmp_path / "training_metrics.json", '{"run_id": 3')
    with pytest.raises(DataError, match="training_metrics.json cannot be read"):
        convergence_report(tmp_path)


def test_tokenizer_statistics_count_whole_documents(run, monkeypatch):
    monkeypatch.setattr("loquela.evaluation.tokenization.TOKENS_AT_ONCE", 11)
    shards = TokenShards(run / "shards", "validation")
    tokenizer = load_tokenizer(run / "tokenizer")
    assert [tokenizer.decode(document.tolist()) for document in documents_of(shards)] == TEXTS
    found = tokenization_report(shards, tokenizer, context=30)
    lengths = [len(tokenizer.encode(text)) for text in TEXTS]
    assert (found.documents, found.tokens) == (len(TEXTS), sum(lengths))
    assert found.characters == sum(len(text) for text in TEXTS)
    assert found.tokens_per_word == pytest.approx(sum(lengths) / sum(len(text.split()) for text in TEXTS))
    assert (found.lengths.minimum, found.lengths.maximum) == (min(lengths), max(lengths))
    assert found.lengths.share_longer_than_context == pytest.approx(sum(n > 30 for n in lengths) / len(lengths))
    assert json.loads(found.model_dump_json())["words"] == found.words
