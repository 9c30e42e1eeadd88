"""The evaluate stage: one function per file of the report.

checkpoint + tokenizer ─▶ engine ─┬─ shards ─▶ validation loss, tokenizer statistics ─┐
                                  ├─ prompts ─▶ samples.jsonl                         ├─▶ metrics.json, report.md
                                  ├─ training_metrics.json ─▶ convergence, warnings ──┘
                                  └─ fresh process ─▶ budgets.json ─▶ validation_results.json
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from pydantic import JsonValue

from loquela.artifacts.context import StageContext, StageResult
from loquela.artifacts.manifest import MANIFEST_NAME
from loquela.artifacts.shards import TokenShards
from loquela.artifacts.validation_results import VALIDATION_RESULTS_NAME, InferenceMetrics, ValidationResults
from loquela.compute.devices import find_device
from loquela.compute.threads import threads_per_process
from loquela.core.atomic import write_json, write_text
from loquela.core.errors import ErrorCode, Interrupted, ProofError
from loquela.evaluation.budgets import judge, measure_budgets
from loquela.evaluation.contracts import (
    BudgetMeasurement,
    BudgetReport,
    ConvergenceReport,
    EvaluationReport,
    LossReport,
    Sample,
    SamplesReport,
    ValidationRunnerRequest,
)
from loquela.evaluation.convergence import convergence_report
from loquela.evaluation.report import report_markdown
from loquela.evaluation.runner import ValidationRunner
from loquela.evaluation.samples import summarize, write_samples
from loquela.evaluation.tokenization import tokenization_report
from loquela.inference.model_engine import ModelEngine
from loquela.inference.open import open_model_engine
from loquela.recipe.schema import EvaluateSection

# Nats per token from which an earlier epoch is worth a warning.
BETTER_BY = 0.01


def evaluate(context: StageContext) -> StageResult:
    """Measure the model in `context.inputs["checkpoint"]` and write the report to `context.output`.

    Raises Interrupted on a stop request; ProofError(VALIDATION_FAILED), after the report is written, when the
    validation loss is above `evaluate.max_validation_loss`; DataError or ProofError when something cannot be
    measured. A missed budget is a verdict in the report: whoever runs the pipeline decides what follows from it.
    """
    return evaluate_split(context, "validation")


def evaluate_split(context: StageContext, split: str) -> StageResult:
    """The same on any split of `context.inputs["shards"]`."""
    section = context.recipe.evaluate
    shards = TokenShards(context.inputs["shards"], split)
    engine = _open(context)
    validation = _validate(engine, shards, context)
    samples = _samples(engine, context)
    training = convergence_report(context.run_directory)
    summary = summarize(samples)
    report = EvaluationReport(
        seed=context.recipe.seed,
        validation=validation,
        tokenization=tokenization_report(shards, engine.tokenizer, engine.model.config.max_sequence_length),
        samples=summary,
        training=training,
        warnings=warnings_for(validation, training, summary),
    )
    budgets = judge(_budget_measurement(context), section.budgets)
    report.warnings = [*report.warnings, *budget_warnings(budgets)]
    results = validation_results(report, samples, budgets)
    _write(context.output, report, samples, budgets, results)
    _check_gate(validation, section, context.output)
    facts = {"model": context.inputs["checkpoint"].name, **_facts(report, budgets)}
    return StageResult(facts=facts, summary=_summary(report, budgets))


def warnings_for(validation: LossReport, training: ConvergenceReport, samples: SamplesReport) -> list[str]:
    """What a reader of the numbers should not miss; empty when nothing is suspicious."""
    found = []
    first = training.first_validation_loss
    if training.epochs > 1 and first is not None and validation.loss >= first:
        found.append(
            f"validation perplexity did not fall: {math.exp(min(first, 700)):.2f} after the first epoch, "
            f"{validation.perplexity:.2f} now"
        )
    best = training.best_validation_loss
    if best is not None and validation.loss - best > BETTER_BY:
        found.append(
            f"the model after epoch {training.best_epoch} was better: validation loss {best:.4f}, against "
            f"{validation.loss:.4f} of the model evaluated here"
        )
    if training.overfitting_detected:
        found.append(
            f"overfitting: the last validation loss is more than 0.5 above the training loss "
            f"({training.final_train_loss:.4f})"
        )
    if samples.quality.repeated_4grams > 0.5:
        found.append(
            f"the samples repeat themselves: {samples.quality.repeated_4grams:.0%} of their 4-grams are repeats"
        )
    return found


def budget_warnings(budgets: BudgetReport) -> list[str]:
    """One line per missed budget."""
    return [
        f"budget missed: {verdict.name} is {verdict.measured:.2f}, {verdict.relation} {verdict.limit:g} is allowed"
        for verdict in budgets.verdicts
        if not verdict.met
    ]


def validation_results(report: EvaluationReport, samples: list[Sample], budgets: BudgetReport) -> ValidationResults:
    """The part that goes into the run's status; `final_val_loss` is the last one that training measured."""
    measured = budgets.measurement
    last = report.training.final_validation_loss
    return ValidationResults(
        sample_generations=[sample.prompt + sample.output for sample in samples],
        final_train_loss=report.training.final_train_loss,
        final_val_loss=report.validation.loss if last is None else last,
        inference_metrics=InferenceMetrics(
            latency_p95_ms=math.ceil(measured.latency_p95_ms),
            tokens_per_sec=measured.tokens_per_second,
            rss_mb=math.ceil(measured.rss_mb),
            peak_mb=math.ceil(measured.peak_mb),
        ),
        constitutional_compliance=budgets.constitutional_compliance,
    )


def _open(context: StageContext) -> ModelEngine:
    """The engine on the recipe's device, in float32 whatever training used: the numbers are exact there."""
    compute = context.recipe.compute
    device, _ = find_device(compute.device)
    torch.set_num_threads(compute.threads or threads_per_process(1))
    engine = open_model_engine(context.inputs["checkpoint"], context.inputs["tokenizer"])
    engine.model.to(device)
    return engine


def _validate(engine: ModelEngine, shards: TokenShards, context: StageContext) -> LossReport:
    runner = ValidationRunner(context.bus, between=lambda: _stop_if_asked(context))
    request = ValidationRunnerRequest(
        model_id=runner.add_model(engine.model),
        validation_loader_id=runner.add_loader(shards),
        evaluation_metrics=context.recipe.evaluate.metrics,
    )
    return runner.report(request)


def _samples(engine: ModelEngine, context: StageContext) -> list[Sample]:
    samples = []
    for sample in write_samples(engine, context.recipe.evaluate, context.recipe.seed):
        context.bus.publish("generation.sample.v1", sample.model_dump(mode="json"), component="evaluation")
        samples.append(sample)
        _stop_if_asked(context)
    return samples


def _budget_measurement(context: StageContext) -> BudgetMeasurement:
    try:
        return measure_budgets(context.inputs["checkpoint"], context.inputs["tokenizer"])
    except ProofError:
        # Ctrl+C reaches the budget process too: then its failure is our being stopped.
        _stop_if_asked(context)
        raise


def _stop_if_asked(context: StageContext) -> None:
    if context.stop.requested:
        raise Interrupted(
            ErrorCode.INTERRUPTED,
            f"stopped while evaluating ({context.stop.reason}); the trained model is kept",
            "go on with the same command and --resume auto; the evaluation begins anew",
        )


def _write(
    directory: Path,
    report: EvaluationReport,
    samples: list[Sample],
    budgets: BudgetReport,
    results: ValidationResults,
) -> None:
    # An older report's manifest would vouch for files that are replaced now; the caller writes the new one last.
    (directory / MANIFEST_NAME).unlink(missing_ok=True)
    write_json(directory / "metrics.json", report.model_dump(mode="json"))
    write_text(directory / "samples.jsonl", "".join(sample.model_dump_json() + "\n" for sample in samples))
    write_json(directory / "budgets.json", budgets.model_dump(mode="json"))
    write_json(directory / VALIDATION_RESULTS_NAME, results.model_dump(mode="json"))
    write_text(directory / "report.md", report_markdown(report, samples, budgets))


def _check_gate(validation: LossReport, section: EvaluateSection, directory: Path) -> None:
    limit = section.max_validation_loss
    if limit is not None and validation.loss > limit:
        raise ProofError(
            ErrorCode.VALIDATION_FAILED,
            f"the validation loss is {validation.loss:.4f}, evaluate.max_validation_loss allows {limit:g}; the report "
            f"is in {directory}",
            "train longer or on more text, or raise evaluate.max_validation_loss",
            details={"validation_loss": validation.loss, "max_validation_loss": limit},
        )


def _facts(report: EvaluationReport, budgets: BudgetReport) -> dict[str, JsonValue]:
    return {
        "seed": report.seed,
        "validation": report.validation.model_dump(mode="json"),
        "training": report.training.model_dump(mode="json"),
        "budgets": budgets.measurement.model_dump(mode="json"),
        "constitutional_compliance": budgets.constitutional_compliance,
        "warnings": list(report.warnings),
    }


def _summary(report: EvaluationReport, budgets: BudgetReport) -> str:
    found, measured = report.validation, budgets.measurement
    verdict = "all budgets met" if budgets.constitutional_compliance else "budgets missed"
    return (
        f"loss {found.loss:.4f}, perplexity {found.perplexity:.2f}, {found.bits_per_byte:.4f} bits per byte; "
        f"{measured.tokens_per_second:.0f} tokens/s, p95 {measured.latency_p95_ms:.2f} ms, "
        f"{measured.rss_mb:.0f} MB: {verdict}"
    )
