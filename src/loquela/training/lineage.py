"""Which version a run's checkpoints carry, from what was trained before under the same name."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.checkpoints import CONFIG_NAME, list_checkpoints, next_version, read_state
from loquela.artifacts.training_records import TrainingCheckpoint
from loquela.core.errors import DataError


def first_version(run_directory: Path, name: str, config: dict[str, JsonValue]) -> str:
    """The version of a new run: 1.0.0, or the newest one of that recipe name beside it, raised by what changed.

    Another vocabulary raises MAJOR, another network MINOR, anything else PATCH (same network, new weights).
    """
    previous = newest_of(run_directory, name)
    if previous is None:
        return next_version(None, vocabulary=False, architecture=False, settings=False)
    state, before = previous
    return next_version(
        state.version,
        vocabulary=before.get("vocab_size") != config.get("vocab_size"),
        architecture=before != config,
        settings=True,
    )


def newest_of(run_directory: Path, name: str) -> tuple[TrainingCheckpoint, dict[str, JsonValue]] | None:
    """State and network of the newest checkpoint in the sibling runs of one recipe name; unreadable ones are passed."""
    found: list[tuple[float, TrainingCheckpoint, dict[str, JsonValue]]] = []
    for sibling in run_directory.parent.iterdir():
        for directory in list_checkpoints(sibling)[:1] if sibling != run_directory else []:
            try:
                state = read_state(directory)
                config = json.loads((directory / CONFIG_NAME).read_bytes())
            except (DataError, OSError, ValueError):
                continue
            if state.training_config.get("name") == name and isinstance(config, dict):
                found.append((directory.stat().st_mtime, state, config))
    if not found:
        return None
    _, state, config = max(found, key=lambda entry: entry[0])
    return state, config
