"""Artifacts that stages made, kept by the digest of what they were made from.

    <output_directory>/artifacts/<kind>/<key>/

A folder appears by one rename, manifest included; what does not verify is set aside and made anew. Several
processes may work below one output directory: each fills a temporary folder that it holds locked (flock), so that
what a dead process left is told from what a living one is writing; of two that made the same, one is kept.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.context import StageResult
from loquela.artifacts.folders import fsync_files, put_in_place
from loquela.artifacts.manifest import MANIFEST_NAME, Manifest, read_manifest, verify, write_manifest
from loquela.core.atomic import TEMPORARY_PREFIX, write_error
from loquela.core.digests import digest_file, digest_json
from loquela.core.errors import DataError, ErrorCode
from loquela.monitoring.events import Bus
from loquela.recipe.schema import Recipe
from loquela.stages import Stage

KEY_LENGTH = 16


class ArtifactCache:
    """Finds and keeps artifacts below one output directory."""

    def __init__(self, output_directory: Path, bus: Bus) -> None:
        self.root = output_directory.expanduser() / "artifacts"
        self.bus = bus

    def find(self, kind: str, key: str) -> Manifest | None:
        """The verified manifest of an artifact, or None; a damaged one is set aside and said so."""
        directory = self.directory(kind, key)
        try:
            return verify(directory, kind)
        except DataError as error:
            if error.code is ErrorCode.DATASET_NOT_FOUND and not directory.exists():
                return None
            aside = directory.with_name(f"damaged-{directory.name}")
            try:
                shutil.rmtree(aside, ignore_errors=True)
                directory.rename(aside)
            except OSError as problem:
                raise write_error(problem, directory) from problem
            self.bus.publish(
                "artifact.damaged.v1",
                {
                    "message": f"{error.message}; it was set aside as {aside.name}, the {kind} is made anew",
                    "kind": kind,
                    "problem": error.message,
                    "moved_to": str(aside),
                },
            )
            return None

    def build(
        self,
        kind: str,
        key: str,
        make: Callable[[Path], StageResult],
        *,
        settings: dict[str, JsonValue],
        parents: dict[str, str],
    ) -> tuple[Manifest, StageResult]:
        """Let `make` fill a temporary folder, write its manifest, move it into place."""
        directory = self.directory(kind, key)
        with _workplace(directory) as temporary:
            result = make(temporary)
            try:
                manifest = write_manifest(temporary, kind, settings=settings, parents=parents, facts=result.facts)
                fsync_files(temporary)
                if directory.exists() and self.find(kind, key) is not None:
                    return manifest, result
                put_in_place(temporary, directory)
            except OSError as error:
                raise write_error(error, directory) from error
        return manifest, result

    def newest(self, kind: str, settings: dict[str, JsonValue], parents: dict[str, str]) -> str | None:
        """Key of the newest artifact made with these settings from these parents, whatever was outside then."""
        made = [path.parent for path in (self.root / kind).glob(f"{'[0-9a-f]' * KEY_LENGTH}/{MANIFEST_NAME}")]
        for folder in sorted(made, key=lambda each: each.stat().st_mtime, reverse=True):
            try:
                manifest = read_manifest(folder, kind)
            except DataError:
                continue  # not an artifact; the caller says so when there is no other
            if manifest.settings == settings and manifest.parents == parents:
                return folder.name
        return None

    def directory(self, kind: str, key: str) -> Path:
        """Where the artifact lies or would lie."""
        return self.root / kind / key


@contextmanager
def _workplace(directory: Path) -> Iterator[Path]:
    """A new folder beside `directory`, locked and removed at the end; those of processes that died go first."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with _locked(directory.parent):
            for left in directory.parent.glob(TEMPORARY_PREFIX + "*"):
                _remove_if_abandoned(left)
            temporary = Path(tempfile.mkdtemp(prefix=f"{TEMPORARY_PREFIX}{directory.name}-", dir=directory.parent))
            temporary.chmod(0o755)
            held = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(held, fcntl.LOCK_EX)
    except OSError as error:
        raise write_error(error, directory) from error
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(held)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Wait for, then hold, the advisory lock of a folder; for the moments in which temporary folders come and go."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_if_abandoned(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)


def stage_settings(recipe: Recipe, stage: Stage) -> dict[str, JsonValue]:
    """The values that decide what `stage` makes; a file named among them counts by its content too."""
    whole = recipe.model_dump(mode="json")
    settings: dict[str, JsonValue] = {}
    for dotted in stage.settings:
        value: JsonValue = whole
        for part in dotted.split("."):
            value = value[part] if isinstance(value, dict) else None
        settings[dotted] = value
    if stage.name == "tokenizer" and recipe.tokenizer.model_file and recipe.tokenizer.model_file.is_file():
        settings["tokenizer.model_file.sha256"] = digest_file(recipe.tokenizer.model_file)
    return settings


def stage_key(
    stage: Stage, settings: dict[str, JsonValue], inputs: dict[str, str], outside: dict[str, JsonValue]
) -> str:
    """Digest of everything that decides what `stage` makes, shortened for use as a folder name."""
    return digest_json(
        {
            "stage": stage.name,
            "format_version": stage.format_version,
            "settings": settings,
            "inputs": dict(inputs),
            "outside": outside,
        }
    )[:KEY_LENGTH]
