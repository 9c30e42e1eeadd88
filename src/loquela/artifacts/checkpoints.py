"""The protocol of checkpoint folders: listed, proven, quarantined, retired, versioned. No tensor library here.

    checkpoints/<step:08d>/ = model.safetensors, optimizer.safetensors, state.json, config.json, manifest.json

The manifest, with size and SHA-256 of every file, is written last, in a folder that gets its name only then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue, ValidationError

from loquela.artifacts.crash_points import crash_point
from loquela.artifacts.folders import remove_folder
from loquela.artifacts.manifest import corrupt, verify
from loquela.artifacts.training_records import TrainingCheckpoint
from loquela.core.atomic import fsync_directory, write_error
from loquela.core.errors import DataError

KIND = "checkpoint"
CHECKPOINTS_DIRECTORY = "checkpoints"
QUARANTINE_DIRECTORY = "quarantine"
STATE_NAME = "state.json"
CONFIG_NAME = "config.json"
FIRST_VERSION = "1.0.0"

Tell = Callable[[Path, str], None]


@dataclass(frozen=True)
class Found:
    """A checkpoint whose every file was proven."""

    directory: Path
    state: TrainingCheckpoint


def checkpoint_directory(run_directory: Path, step: int) -> Path:
    """Where the checkpoint after `step` optimizer steps lies."""
    return run_directory / CHECKPOINTS_DIRECTORY / f"{step:08d}"


def list_checkpoints(run_directory: Path) -> list[Path]:
    """Checkpoint folders of a run, newest first, not verified."""
    parent = run_directory / CHECKPOINTS_DIRECTORY
    if not parent.is_dir():
        return []
    folders = [entry for entry in parent.iterdir() if entry.name.isdigit() and entry.is_dir()]
    return sorted(folders, key=lambda folder: int(folder.name), reverse=True)


def read_state(directory: Path) -> TrainingCheckpoint:
    """`state.json` of a checkpoint; DataError(CORRUPTION) when it cannot be read as one."""
    try:
        return TrainingCheckpoint.model_validate_json((directory / STATE_NAME).read_bytes())
    except (OSError, ValidationError) as error:
        raise corrupt(directory, f"{STATE_NAME} cannot be read as a checkpoint's state") from error


def verified(directory: Path) -> Found:
    """Prove every file of a checkpoint by size and SHA-256; DataError(CORRUPTION, DATASET_NOT_FOUND)."""
    verify(directory, KIND)
    return Found(directory, read_state(directory))


def newest_valid(run_directory: Path, tell: Tell) -> Found | None:
    """The newest checkpoint that proves whole; each newer one that does not is quarantined, and `tell` hears why."""
    for directory in list_checkpoints(run_directory):
        try:
            return verified(directory)
        except DataError as error:
            moved = quarantine(directory)
            tell(moved, error.message)
    return None


def newest_up_to(run_directory: Path, step: int) -> Found | None:
    """The newest checkpoint made on schedule after at most `step` steps: where a roll-back goes."""
    for directory in _scheduled(list_checkpoints(run_directory)):
        if int(directory.name) <= step:
            return verified(directory)
    return None


def quarantine(directory: Path) -> Path:
    """Move a checkpoint out of the way, into `checkpoints/quarantine/`, and return its new place."""
    parent = directory.parent / QUARANTINE_DIRECTORY
    try:
        parent.mkdir(exist_ok=True)
        number = 1
        while (place := parent / f"{directory.name}.{number}").exists():
            number += 1
        directory.rename(place)
        fsync_directory(directory.parent)
    except OSError as error:
        raise write_error(error, directory) from error
    return place


def retire(run_directory: Path, keep: int, rollback_steps: int) -> list[Path]:
    """Remove old checkpoints: the newest `keep` stay, and the newest one that is `rollback_steps` older than them all.

    A checkpoint made by a stop request does not count, and goes as soon as a newer one exists: how often a run
    was interrupted must not change where it may roll back to.
    """
    crash_point("before_retention")
    folders = list_checkpoints(run_directory)
    scheduled = _scheduled(folders)
    kept = set(folders[:1]) | set(scheduled[:keep])
    if scheduled:
        far_enough = int(scheduled[0].name) - rollback_steps
        kept.add(next((folder for folder in scheduled if int(folder.name) <= far_enough), scheduled[-1]))
    gone = [folder for folder in folders if folder not in kept]
    for folder in gone:
        remove_folder(folder)
    return gone


def remove_newer(run_directory: Path, step: int) -> list[Path]:
    """Remove the checkpoints after `step`: a roll-back has left their branch of history."""
    gone = [folder for folder in list_checkpoints(run_directory) if int(folder.name) > step]
    for folder in gone:
        remove_folder(folder)
    return gone


def next_version(previous: str | None, *, vocabulary: bool, architecture: bool, settings: bool) -> str:
    """The version after `previous` given what differs from it: MAJOR, MINOR, PATCH; "1.0.0" without a previous."""
    if previous is None:
        return FIRST_VERSION
    major, minor, patch = (int(part) for part in previous.split("."))
    if vocabulary:
        return f"{major + 1}.0.0"
    if architecture:
        return f"{major}.{minor + 1}.0"
    if settings:
        return f"{major}.{minor}.{patch + 1}"
    return previous


def differing(old: dict[str, JsonValue], new: dict[str, JsonValue], prefix: str = "") -> dict[str, tuple[str, str]]:
    """Dotted keys whose values differ, with both values as text."""
    found: dict[str, tuple[str, str]] = {}
    for key in sorted(old.keys() | new.keys()):
        left, right = old.get(key), new.get(key)
        if isinstance(left, dict) and isinstance(right, dict):
            found.update(differing(left, right, f"{prefix}{key}."))
        elif left != right:
            found[prefix + key] = (str(left), str(right))
    return found


def _scheduled(folders: list[Path]) -> list[Path]:
    return [folder for folder in folders if read_state(folder).reason != "stop"]
