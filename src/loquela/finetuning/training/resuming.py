"""Going on from a checkpoint of a fine-tuning: whether it may, and everything back in its place, to the bit."""

from __future__ import annotations

from pydantic import JsonValue

from loquela.artifacts.checkpoints import Found
from loquela.core.errors import DataError, ErrorCode
from loquela.finetuning.training.saved_state import put_trained
from loquela.finetuning.training.session import TuningSession
from loquela.recipe.schema import Recipe
from loquela.training.checkpoint import restore_model, restore_optimizer
from loquela.training.compatibility import check_data, check_network, check_rows_per_step, settings_changes
from loquela.training.resuming import Changes, saved_config

SECTIONS = ("finetune", "compute")
OPTIMIZER_KEY = "finetune.optimizer"
# What is proven on the way, made of the adapter later, or said by the network's description is no change of the course.
OTHER_KEYS = ("finetune.proofs", "finetune.merge", "finetune.base", "finetune.revision")


def network_of(session: TuningSession) -> dict[str, JsonValue]:
    """What must be the same for a checkpoint's tensors to fit and to mean what they meant."""
    section, identity = session.settings, session.causal.base.identity
    adapter: dict[str, JsonValue] = section.lora.model_dump(mode="json")
    quantization: dict[str, JsonValue] = section.quantization.model_dump(mode="json")
    return {
        "base": identity.digest,
        "vocab_size": identity.vocab_size,
        "task": section.task,
        "method": section.method,
        "lora": None if section.method == "full" else adapter,
        "quantization": quantization if section.method == "qlora" else None,
    }


def check_resumable(session: TuningSession, found: Found, data_digest: str) -> Changes:
    """Settings that differ from the checkpoint's and may.

    Raises DataError: DATA_CHANGED for other rows or another base, CHECKPOINT_INCOMPATIBLE for another adapter, seed
    or rows per step; each shows both values.
    """
    name, state = found.directory.name, found.state
    check_data(
        name,
        state,
        data_digest=data_digest,
        tokenizer_digest=session.causal.base.identity.digest,
        seed=session.recipe.seed,
        names=("examples", "base"),
    )
    check_network(name, saved_config(found), network_of(session))
    check_rows_per_step(name, state.training_config, rows_per_step(session.recipe), "finetune")
    changes = settings_changes(state.training_config, session.recipe.model_dump(mode="json"), SECTIONS)
    kept = {key: change for key, change in changes.items() if not key.startswith(OTHER_KEYS)}
    if any(key.startswith("finetune.preference") for key in kept):
        raise DataError(
            ErrorCode.CHECKPOINT_INCOMPATIBLE,
            f"checkpoint {name} minimised another loss: "
            + ", ".join(f"{key} {old} → {new}" for key, (old, new) in kept.items()),
            "put those values back into the recipe, or start a new run with --resume never",
        )
    return kept


def rows_per_step(recipe: Recipe) -> int:
    """Rows of the global batch of one optimizer step."""
    section = recipe.finetune
    return section.batch_size * section.gradient_accumulation_steps if section is not None else 0


def restore(session: TuningSession, found: Found, changes: Changes) -> None:
    """Weights and optimizer state of a verified checkpoint; another optimizer than before starts afresh."""
    weights = restore_model(found)
    put_trained(session.model, weights, found.directory)
    session.optimizer.take_weights(weights)
    if OPTIMIZER_KEY not in changes:
        restore_optimizer(found, session.optimizer)
    session.runner.load_scale_state(found.state.loss_scale)
