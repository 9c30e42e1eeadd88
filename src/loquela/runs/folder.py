"""What a run keeps of the artifacts it used: its own copy of the tokenizer, and one ledger."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from loquela.artifacts.manifest import MANIFEST_NAME, Manifest, read_manifest
from loquela.core.atomic import TEMPORARY_PREFIX, fsync_directory, write_error, write_json
from loquela.core.errors import LoquelaError


def copy_artifact(source: Path, target: Path, digest: str) -> None:
    """Copy an artifact's folder, manifest included, unless `target` already is that artifact."""
    if (target / MANIFEST_NAME).is_file() and _digest_of(target) == digest:
        return
    temporary = target.with_name(TEMPORARY_PREFIX + target.name)
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.copytree(source, temporary)
        shutil.rmtree(target, ignore_errors=True)
        temporary.rename(target)
        fsync_directory(target.parent)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise write_error(error, target) from error


def _digest_of(directory: Path) -> str:
    try:
        return read_manifest(directory).digest
    except LoquelaError:
        return ""


def write_ledger(path: Path, stage: str, place: Path, manifest: Manifest) -> None:
    """Add one stage's counts to the run's ledger: the artifact's own ledger where it has one, else its facts."""
    ledger = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    own = place / "ledger.json"
    ledger[stage] = json.loads(own.read_text(encoding="utf-8")) if own.is_file() else manifest.facts
    write_json(path, ledger)
