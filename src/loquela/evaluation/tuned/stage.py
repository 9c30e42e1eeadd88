"""The compare stage: base, adapter and examples → how much better the adapter is."""

from __future__ import annotations

import torch
from pydantic import JsonValue

from loquela.artifacts.context import StageContext, StageResult
from loquela.artifacts.manifest import read_manifest
from loquela.compute.devices import choose_device
from loquela.core.errors import ErrorCode, Interrupted
from loquela.evaluation.tuned.comparison import Comparison, Inputs, Surroundings
from loquela.evaluation.tuned.contracts import ComparisonReport
from loquela.evaluation.tuned.report import number
from loquela.evaluation.tuned.sides import LoadPlan, Sides
from loquela.models.pretrained.load import DtypeName, QuantizationPlan
from loquela.models.pretrained.open import open_base
from loquela.recipe.finetune_section import FinetuneSection
from loquela.recipe.schema import Recipe


def compare(context: StageContext) -> StageResult:
    """Measure base and adapter on the held-out examples and write the comparison to `context.output`.

    Goes on where a killed comparison of the same things was. Raises Interrupted on a stop request, with what was
    measured kept; DataError when nothing is held out or a file is not what it was; ProofError when a side cannot be
    measured. Limits of the recipe are held against the result by whoever runs the pipeline.
    """
    recipe = context.recipe
    inputs = Inputs(
        sides=Sides(open_base(context.inputs["base"]), context.inputs["adapter"], load_plan(recipe)),
        examples=context.inputs["examples"],
        adapter_digest=read_manifest(context.inputs["adapter"]).digest,
        examples_digest=read_manifest(context.inputs["examples"]).digest,
    )
    around = Surroundings(context.bus, lambda: _stop_if_asked(context))
    comparison = Comparison(inputs, recipe.evaluate.tuned, context.output, around, seed=recipe.seed)
    if comparison.records.kept and comparison.records.losses.lines:
        context.bus.publish("notice.v1", {"message": "the comparison goes on where it was stopped"})
    report = comparison.run()
    return StageResult(facts=facts_of(report), summary=summary_of(report))


def load_plan(recipe: Recipe) -> LoadPlan:
    """How the recipe's training had its base: number format, device and quantisation; sets the threads."""
    plan = choose_device(recipe.compute, family="transformer")
    torch.set_num_threads(plan.threads)
    section = recipe.finetune
    if section is None:
        return LoadPlan(dtype=plan.precision, device=plan.device)
    return LoadPlan(
        dtype="fp32" if section.method == "full" else plan.precision,
        device=plan.device,
        quantization=quantization_plan(section, plan.precision),
    )


def quantization_plan(section: FinetuneSection, precision: DtypeName) -> QuantizationPlan | None:
    """How the base is quantised under `finetune.method`; None where it is not."""
    if section.method == "int8_lora":
        return QuantizationPlan("int8")
    if section.method != "qlora":
        return None
    options = section.quantization
    compute = precision if options.compute == "auto" else options.compute
    return QuantizationPlan(options.type, compute, options.double)


def facts_of(report: ComparisonReport) -> dict[str, JsonValue]:
    """What the manifest keeps: both values and the verdict of every metric, and what was forgotten."""
    metrics: dict[str, JsonValue] = {
        metric.name: {"base": metric.base.value, "adapter": metric.adapter.value, "verdict": metric.verdict}
        for metric in report.metrics
        if metric.rows
    }
    return {
        "split": report.split,
        "rows": report.rows,
        "base_equals_plain": report.base_equals_plain,
        "metrics": metrics,
        "forgetting": {each.kind: each.lost for each in report.forgetting},
    }


def summary_of(report: ComparisonReport) -> str:
    """One line: how many metrics got better, worse, unclear; loss."""
    counts = dict.fromkeys(("better", "worse", "unclear"), 0)
    for metric in report.metrics:
        if metric.rows and metric.verdict in counts:
            counts[metric.verdict] += 1
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    loss = report.metrics[0]
    values = f"{number(loss.base.value)} → {number(loss.adapter.value)}"
    return f"{report.rows} {report.split} rows: {said}; loss {values}"


def _stop_if_asked(context: StageContext) -> None:
    if context.stop.requested:
        raise Interrupted(
            ErrorCode.INTERRUPTED,
            f"stopped while comparing ({context.stop.reason}); the adapter and what was measured are kept",
            "go on with the same command and --resume auto",
        )
