"""Are text and settings still what a run was made from? Said in sentences, source by source, key by key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.checkpoints import differing
from loquela.core.entry import resolve
from loquela.recipe.schema import Recipe
from loquela.runs.cache import stage_settings
from loquela.runs.manifest import StageRecord, load_run_manifest
from loquela.stages import Stage, stage_named

Fingerprint = Callable[[Recipe], dict[str, JsonValue]]
Changes = Callable[[Mapping[str, JsonValue], Mapping[str, JsonValue]], list[str]]

SOURCE_CHANGES = "loquela.data.corpus.fingerprint:changes_between"


def changes_since(run_directory: Path, recipe: Recipe) -> list[str]:
    """A sentence for every source that holds other bytes than when the run's corpus was made; none without a corpus.

    Raises what reading the sources raises, DataError(CORRUPTION) when the run's manifest cannot be read.
    """
    record = load_run_manifest(run_directory).stages.get("ingest")
    if record is None:
        return []
    fingerprint: Fingerprint = resolve(stage_named("ingest").fingerprint or "")
    return source_changes(record, fingerprint(recipe))


def source_changes(record: StageRecord, now: Mapping[str, JsonValue]) -> list[str]:
    """What differs between the sources that an ingest record names and their fingerprints `now`."""
    recorded = record.facts.get("sources")
    compare: Changes = resolve(SOURCE_CHANGES)
    return compare(recorded if isinstance(recorded, dict) else {}, now)


def settings_changes(before: Recipe, now: Recipe, stage: Stage) -> list[str]:
    """A sentence for every recipe value that decides what `stage` makes and is another now."""
    changed = differing(stage_settings(before, stage), stage_settings(now, stage))
    return [f"{key} was {old} and is {new}" for key, (old, new) in changed.items()]
