"""The report for people: the same numbers as in the JSON files, as one Markdown page."""

from __future__ import annotations

from collections.abc import Sequence

from loquela.evaluation.contracts import BudgetReport, EvaluationReport, Sample

Row = tuple[str, str]


def report_markdown(report: EvaluationReport, samples: Sequence[Sample], budgets: BudgetReport) -> str:
    """The whole page."""
    parts = ["# Evaluation\n"]
    if report.warnings:
        parts += ["## Warnings\n", *(f"- {warning}" for warning in report.warnings), ""]
    parts += [_table("Validation", loss_rows(report)), _table("Training", _training_rows(report))]
    parts += [_budget_table(budgets), _table("Tokenizer on this split", _tokenizer_rows(report))]
    parts += [_table("Samples", _sample_rows(report)), *(_sample(sample) for sample in samples)]
    return "\n".join(parts)


def _table(title: str, rows: Sequence[Row]) -> str:
    lines = [f"| {name} | {value} |" for name, value in rows]
    return "\n".join([f"## {title}\n", "| what | value |", "| --- | ---: |", *lines, ""])


def loss_rows(report: EvaluationReport) -> list[Row]:
    """What the model is worth on the split."""
    found = report.validation
    rows = [
        ("split", found.split),
        ("target tokens", f"{found.target_tokens:,}"),
        ("text bytes", f"{found.text_bytes:,}"),
        ("loss, nats per token", f"{found.loss:.4f}"),
        ("perplexity", f"{found.perplexity:.2f}"),
        ("bits per byte", f"{found.bits_per_byte:.4f}"),
    ]
    if found.accuracy is not None:
        rows.append(("next-token accuracy", f"{found.accuracy:.2%}"))
    if found.f1_score is not None:
        rows.append(("macro F1 over token classes", f"{found.f1_score:.4f}"))
    return rows


def _training_rows(report: EvaluationReport) -> list[Row]:
    found = report.training
    return [
        ("epochs", str(found.epochs)),
        ("final training loss", _number(found.final_train_loss)),
        ("validation loss after the first epoch", _number(found.first_validation_loss)),
        ("best epoch", _said(found.best_epoch)),
        ("converged (plateau)", _said(found.convergence_achieved)),
        ("overfitting (gap above 0.5)", _said(found.overfitting_detected)),
    ]


def _tokenizer_rows(report: EvaluationReport) -> list[Row]:
    found = report.tokenization
    lengths = found.lengths
    return [
        ("documents", f"{found.documents:,}"),
        ("tokens per character", f"{found.tokens_per_character:.3f}"),
        ("tokens per word", f"{found.tokens_per_word:.3f}"),
        (
            "tokens per document: least, median, 95 %, most",
            f"{lengths.minimum}, {lengths.p50:g}, {lengths.p95:g}, {lengths.maximum}",
        ),
        ("documents longer than the context", f"{lengths.share_longer_than_context:.1%}"),
    ]


def _sample_rows(report: EvaluationReport) -> list[Row]:
    found = report.samples
    languages = ", ".join(f"{language} {count}" for language, count in found.languages.items())
    quality = found.quality
    return [
        ("samples", str(found.count)),
        ("languages (by common words)", languages),
        ("writes English and Spanish", _said(found.bilingual)),
        ("distinct-1, -2, -3", f"{quality.distinct_1:.3f}, {quality.distinct_2:.3f}, {quality.distinct_3:.3f}"),
        ("repeated 4-grams", f"{quality.repeated_4grams:.1%}"),
        ("longest loop, words", str(quality.longest_loop_words)),
    ]


def _budget_table(budgets: BudgetReport) -> str:
    verdicts = [
        f"| {verdict.name} | {verdict.measured:.2f} | {verdict.relation} {verdict.limit:g} | "
        f"{'met' if verdict.met else '**missed**'} |"
        for verdict in budgets.verdicts
    ]
    found = budgets.measurement
    note = (
        f"\nMeasured in a process of its own: {found.tokens} greedy tokens, {found.threads} thread(s), first token "
        f"{found.cold_start_seconds:.1f} s after the process started.\n"
    )
    return "\n".join(
        [
            "## Inference budgets\n",
            "| budget | measured | limit | verdict |",
            "| --- | ---: | ---: | --- |",
            *verdicts,
            note,
        ]
    )


def _sample(sample: Sample) -> str:
    quoted = f"{sample.prompt}⟶{sample.output}".replace("\n", "\n> ")
    return f"> {quoted}\n"


def _number(value: float | None) -> str:
    return "not known" if value is None else f"{value:.4f}"


def _said(value: bool | int | None) -> str:
    if value is None:
        return "not known"
    return str(value) if not isinstance(value, bool) else "yes" if value else "no"
