"""Going on from a checkpoint: which one, whether it may, and everything back in its place."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.checkpoints import (
    CHECKPOINTS_DIRECTORY,
    CONFIG_NAME,
    Found,
    checkpoint_directory,
    newest_valid,
    verified,
)
from loquela.artifacts.context import StageContext
from loquela.artifacts.folders import heal_folder, remove_leftovers
from loquela.artifacts.manifest import corrupt
from loquela.monitoring.events import Bus, trace
from loquela.training.checkpoint import BEST_DIRECTORY, FINAL_DIRECTORY, restore_model, restore_optimizer
from loquela.training.compatibility import check_data, check_network, check_rows_per_step, settings_changes
from loquela.training.distributed import Group
from loquela.training.opening import Inputs
from loquela.training.parts import Parts

Changes = dict[str, tuple[str, str]]


def find_checkpoint(context: StageContext, group: Group) -> Found | None:
    """The newest checkpoint that proves whole, as rank 0 finds it; damaged ones are set aside and told."""
    run, step = context.run_directory, -1
    if group.leads:
        for name in (BEST_DIRECTORY, FINAL_DIRECTORY):
            heal_folder(run / name)
        remove_leftovers(run)
        remove_leftovers(run / CHECKPOINTS_DIRECTORY)

        def tell(place: Path, why: str) -> None:
            message = f"{why}; it was set aside in {place}, the one before it is used"
            trace(context.bus, "ModelCheckpointer", "checkpoint_quarantined", message=message, path=str(place))

        found = newest_valid(run, tell)
        step = found.state.step if found is not None else -1
    step = group.from_leader(step)
    return verified(checkpoint_directory(run, step)) if step >= 0 else None


def check_resumable(inputs: Inputs, found: Found) -> Changes:
    """Training settings that differ from the checkpoint's.

    Raises DataError: CHECKPOINT_INCOMPATIBLE for another network, seed or rows per step, DATA_CHANGED for other
    shards or another tokenizer.
    """
    name = found.directory.name
    check_network(name, saved_config(found), inputs.config_json)
    check_data(
        name,
        found.state,
        data_digest=inputs.data_digest,
        tokenizer_digest=inputs.tokenizer_digest,
        seed=inputs.recipe.seed,
    )
    check_rows_per_step(name, found.state.training_config, inputs.rows_per_step)
    return settings_changes(found.state.training_config, inputs.recipe.model_dump(mode="json"))


def saved_config(found: Found) -> dict[str, JsonValue]:
    """The network's configuration that lies in the checkpoint; DataError(CORRUPTION) when it is none."""
    try:
        config: JsonValue = json.loads((found.directory / CONFIG_NAME).read_bytes())
    except (OSError, ValueError) as error:
        raise corrupt(found.directory, f"{CONFIG_NAME} cannot be read") from error
    if not isinstance(config, dict):
        raise corrupt(found.directory, f"{CONFIG_NAME} is not a JSON object")
    return config


def restore(parts: Parts, found: Found, changes: Changes) -> None:
    """Weights and optimizer state of a verified checkpoint; another optimizer than before starts afresh."""
    parts.model.load_state_dict(restore_model(found), strict=True)
    if "train.optimizer.name" not in changes:
        restore_optimizer(found, parts.optimizer)
    parts.runner.load_scale_state(found.state.loss_scale)


def tell_resumed(
    bus: Bus, found: Found, version: str, changes: Changes, optimizer_key: str = "train.optimizer.name"
) -> None:
    """Say where the run goes on and which settings are not those it was made with."""
    message = f"going on from checkpoint {found.directory.name} (epoch {found.state.epoch})"
    if changes:
        listed = ", ".join(f"{key}: {old} → {new}" for key, (old, new) in changes.items())
        message += f"; settings changed, version {found.state.version} → {version}: {listed}"
    if optimizer_key in changes:
        message += "; the new optimizer starts without state"
    changed: JsonValue = {key: [old, new] for key, (old, new) in changes.items()}
    trace(bus, "TrainingOrchestrator", "resumed", message=message, step=found.state.step, changed=changed)
