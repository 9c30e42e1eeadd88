"""The stage that merges: base, rows and adapter → a model of its own, or a refusal."""

from __future__ import annotations

from loquela.artifacts.adapter import open_adapter
from loquela.artifacts.context import StageContext, StageResult
from loquela.artifacts.manifest import read_manifest
from loquela.artifacts.merge_report import read_merge_report
from loquela.finetuning.merging.merge import Merge
from loquela.finetuning.merging.prompts import prompts_for
from loquela.finetuning.training.opening import plan_for, quantization_of, section_of
from loquela.models.pretrained.open import open_base


def merge(context: StageContext) -> StageResult:
    """Merge the run's adapter into its base; errors as of `Merge.run`, `open_base` and `open_adapter`."""
    section = section_of(context.recipe)
    plan = plan_for(context.recipe)
    base = open_base(context.inputs["base"])
    manifest = Merge(
        base=base,
        adapter=open_adapter(context.inputs["adapter"]),
        place=context.output,
        prompts=prompts_for(base, context.inputs["examples"], section.merge.prompts),
        options=section.merge,
        quantization=quantization_of(section, plan),
        parents={role: read_manifest(folder).digest for role, folder in context.inputs.items()},
        bus=context.bus,
        device=plan.device,
    ).run()
    report = read_merge_report(context.output)
    taken = report.taken
    said = "" if taken is None else f"mean KL {taken.mean_kl:.3g}, same likeliest token {taken.top1_agreement:.1%}"
    return StageResult(facts=manifest.facts, summary=f"into the {report.chosen} base: {said}")
