"""One merge of a run's adapter, made where it is not there yet."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.adapter import require_adapter
from loquela.artifacts.merge_report import read_merge_report
from loquela.finetuning.merging.alone import AdapterPlace, merge_adapter
from loquela.monitoring.events import Bus
from loquela.recipe.finetune_section import MergeOptions


def merge_run(
    adapter: Path, place: Path, base: Path, examples: Path, options: MergeOptions, bus: Bus
) -> dict[str, JsonValue]:
    """Digest and report of the merged model, and whether it was there before; raises what `merge_adapter` does."""
    require_adapter(adapter)
    manifest, before = merge_adapter(AdapterPlace(adapter, place, base, examples, options), bus)
    report = read_merge_report(place).model_dump(mode="json")
    return {"digest": manifest.digest, "reused": before, "report": report}
