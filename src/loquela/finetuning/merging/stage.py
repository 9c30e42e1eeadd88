"""The stage that merges: base, rows and adapter → a model of its own, or a refusal."""

from __future__ import annotations

from loquela.artifacts.adapter import open_adapter
from loquela.artifacts.context import StageContext, StageResult
from loquela.artifacts.manifest import read_manifest
from loquela.artifacts.merge_report import read_merge_report
from loquela.compute.devices import find_device
from loquela.finetuning.merging.merge import Merge
from loquela.finetuning.merging.prompts import prompts_for
from loquela.finetuning.training.opening import section_of
from loquela.models.pretrained.adapted import QUANTIZATION_FACT, recorded_quantization
from loquela.models.pretrained.open import open_base


def merge(context: StageContext) -> StageResult:
    """Merge the run's adapter into its base; errors as of `Merge.run`, `open_base` and `open_adapter`."""
    section = section_of(context.recipe)
    base = open_base(context.inputs["base"])
    adapter = open_adapter(context.inputs["adapter"])
    manifest = Merge(
        base=base,
        adapter=adapter,
        place=context.output,
        prompts=prompts_for(base, context.inputs["examples"], section.merge.prompts),
        options=section.merge,
        quantization=recorded_quantization(adapter.directory, adapter.manifest.facts.get(QUANTIZATION_FACT)),
        parents={role: read_manifest(folder).digest for role, folder in context.inputs.items()},
        bus=context.bus,
        device=find_device(context.recipe.compute.device)[0],
    ).run()
    report = read_merge_report(context.output)
    taken = report.taken
    said = "" if taken is None else f"mean KL {taken.mean_kl:.3g}, same likeliest token {taken.top1_agreement:.1%}"
    return StageResult(facts=manifest.facts, summary=f"into the {report.chosen} base: {said}")
