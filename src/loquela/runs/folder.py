"""What a run keeps of the artifacts it used: its own copy of the tokenizer, and one ledger."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.folders import whole_folder
from loquela.artifacts.manifest import Manifest, verify
from loquela.core.atomic import write_json
from loquela.core.errors import LoquelaError

LEDGER_NAME = "ledger.json"


def copy_artifact(source: Path, target: Path, digest: str) -> None:
    """Copy an artifact's folder, manifest included, unless `target` already is that artifact, whole.

    Raises ResourceError when it cannot be written.
    """
    if _proved_digest(target) == digest:
        return
    with whole_folder(target) as temporary:
        shutil.copytree(source, temporary, dirs_exist_ok=True)


def _proved_digest(directory: Path) -> str:
    """Digest of the artifact there, empty when there is none or it is damaged."""
    try:
        return verify(directory).digest
    except LoquelaError:
        return ""


def read_ledger(run_directory: Path) -> dict[str, JsonValue]:
    """The run's ledger by stage; empty when there is none or it cannot be read (each stage writes its part again)."""
    try:
        found: JsonValue = json.loads((run_directory / LEDGER_NAME).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_ledger(run_directory: Path, stage: str, place: Path, manifest: Manifest) -> None:
    """Add one stage's counts to the run's ledger: the artifact's own ledger where it has one, else its facts."""
    own = place / LEDGER_NAME
    counts: JsonValue = json.loads(own.read_text(encoding="utf-8")) if own.is_file() else manifest.facts
    write_json(run_directory / LEDGER_NAME, {**read_ledger(run_directory), stage: counts})
