"""The export stage: every target of the recipe as a bundle of its own in the run's exports/."""

from __future__ import annotations

from pydantic import JsonValue

from loquela.artifacts.context import StageContext, StageResult
from loquela.core.errors import ErrorCode, Interrupted
from loquela.export.exporting import Export
from loquela.export.report import read_report
from loquela.export.source import find_model
from loquela.recipe.export_section import ExportSection


def export(context: StageContext) -> StageResult:
    """Export the trained model once for each target; finished ones stay when a later fails.

    That is the checkpoint of a training, the merged model of a fine-tuning, else its adapter.

    Raises Interrupted between two exports on a stop request, else as `Export.run`.
    """
    section = context.recipe.export or ExportSection()
    inputs = context.inputs
    source = find_model(next(inputs[kind] for kind in ("checkpoint", "merged", "adapter") if kind in inputs))
    held_out = inputs["shards"] if "shards" in inputs else inputs["examples"]
    facts: dict[str, JsonValue] = {}
    for target in section.targets:
        if context.stop.requested:
            raise Interrupted(
                ErrorCode.INTERRUPTED,
                f"stopped while exporting ({context.stop.reason}); the model and finished exports are kept",
                "go on with the same command and --resume auto",
            )
        place = context.output / target.name
        bundle = Export(source, target, place, section, held_out, context.bus).run()
        logits = read_report(bundle.directory).logits
        facts[target.name] = {
            "digest": bundle.manifest.digest,
            "bytes": sum(record.size_bytes for record in bundle.manifest.files),
            "mean_kl": logits.mean_kl,
            "top1_agreement": logits.top1_agreement,
            "loss_increase": logits.loss_increase,
        }
    return StageResult(facts=facts, summary=f"{', '.join(facts)} in {context.output.name}/")
