"""What stages keep below `<data>/artifacts/`, and which runs may still read it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.manifest import MANIFEST_NAME
from loquela.core.errors import LoquelaError
from loquela.runs.cache import KEY_LENGTH
from loquela.runs.lock import is_locked
from loquela.runs.manifest import RUN_MANIFEST_NAME
from loquela.runs.status import STATUS_NAME, Phase, load_status
from loquela.stages import stage_named

# Made again from their sources whenever they are missing. Bases are not among them: models were fine-tuned on these.
CACHES = ("corpus", "examples", "shards")
TOKENIZER = "tokenizer"
# Stages that make something which works with one tokenizer only.
MODEL_STAGES = ("prepare", "train")
STILL_READ = float("inf")


@dataclass(frozen=True)
class CacheEntry:
    """One folder of the cache; `name` is <kind>/<key>, `made_at` in seconds since 1970, UTC."""

    name: str
    path: Path
    size_bytes: int
    files: int
    made_at: float


def cached(data: Path, kinds: tuple[str, ...] = CACHES) -> list[CacheEntry]:
    """Every whole entry of these kinds."""
    found = []
    for kind in kinds:
        for manifest in (data / "artifacts" / kind).glob(f"{'[0-9a-f]' * KEY_LENGTH}/{MANIFEST_NAME}"):
            entry = _entry(kind, manifest)
            if entry is not None:
                found.append(entry)
    return found


def in_use(data: Path) -> dict[str, float]:
    """By <kind>/<key>: when a run was last worked on that reads it; infinity where that run may go on."""
    used: dict[str, float] = {}
    for run in _runs(data):
        try:
            at = STILL_READ if _may_go_on(run) else (run / RUN_MANIFEST_NAME).stat().st_mtime
        except OSError:
            continue  # it was removed meanwhile
        for stage, key in _stages(run).items():
            name = f"{_makes(stage)}/{key}"
            used[name] = max(at, used.get(name, 0.0))
    return used


def unused_tokenizers(data: Path) -> list[CacheEntry]:
    """Tokenizers that no model was made with, and no run that may go on has chosen."""
    chosen = {
        key
        for run in _runs(data)
        for stages in (_stages(run),)
        if any(stage in stages for stage in MODEL_STAGES) or _may_go_on(run)
        for stage, key in stages.items()
        if stage == TOKENIZER
    }
    return [entry for entry in cached(data, (TOKENIZER,)) if entry.path.name not in chosen]


def _runs(data: Path) -> Iterator[Path]:
    for status in sorted((data / "runs").glob(f"*/{STATUS_NAME}")):
        yield status.parent


def _may_go_on(run: Path) -> bool:
    """A run that is at work or can be resumed; one whose status cannot be read is left its data as well."""
    try:
        return is_locked(run) or load_status(run).current_phase is not Phase.COMPLETE
    except LoquelaError:
        return True


def _stages(run: Path) -> dict[str, str]:
    """Stage → key, read without the recipe: there may be thousands of runs."""
    try:
        manifest: JsonValue = json.loads((run / RUN_MANIFEST_NAME).read_bytes())
    except (OSError, ValueError):
        return {}
    stages = manifest.get("stages") if isinstance(manifest, dict) else None
    records = stages.items() if isinstance(stages, dict) else ()
    return {name: str(record["key"]) for name, record in records if isinstance(record, dict) and "key" in record}


def _makes(stage: str) -> str:
    try:
        return stage_named(stage).makes
    except KeyError:
        return stage


def _entry(kind: str, manifest: Path) -> CacheEntry | None:
    folder = manifest.parent
    try:
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        return CacheEntry(f"{kind}/{folder.name}", folder, sum(sizes), len(sizes), manifest.stat().st_mtime)
    except OSError:
        return None  # it was removed meanwhile
