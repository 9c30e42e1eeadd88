"""May this run go on from that checkpoint? Vocabulary, network and data must be the same; settings may differ."""

from __future__ import annotations

from pydantic import JsonValue

from loquela.artifacts.checkpoints import differing
from loquela.artifacts.training_records import TrainingCheckpoint
from loquela.core.errors import DataError, ErrorCode

# Parts of a recipe that decide how the next steps are computed.
TRAINING_SECTIONS = ("train", "compute")
# Where data was prepared is no matter of training.
DATA_KEYS = ("compute.data", "compute.slurm")


def check_network(
    where: str, saved: dict[str, JsonValue], wanted: dict[str, JsonValue], remedy_resume: str = "--resume never"
) -> None:
    """DataError(CHECKPOINT_INCOMPATIBLE) naming every value that differs; `saved` and `wanted` are model configs."""
    changes = differing(saved, wanted)
    if not changes:
        return
    listed = ", ".join(f"{key} is {old} there and {new} here" for key, (old, new) in changes.items())
    what = "vocabulary" if "vocab_size" in changes else "architecture"
    raise DataError(
        ErrorCode.CHECKPOINT_INCOMPATIBLE,
        f"checkpoint {where} is of another {what}: {listed}",
        f"put those values back into the recipe, or start a new run with {remedy_resume}",
        details={key: {"checkpoint": old, "recipe": new} for key, (old, new) in changes.items()},
    )


def check_data(
    where: str,
    state: TrainingCheckpoint,
    *,
    data_digest: str,
    tokenizer_digest: str | None,
    seed: int,
    names: tuple[str, str] = ("token shards", "tokenizer"),
) -> None:
    """DataError(DATA_CHANGED) for other shards or another tokenizer, CHECKPOINT_INCOMPATIBLE for another seed.

    `names` is what both are called in the message.
    """
    for name, old, new in (
        (names[0], state.data_digest, data_digest),
        (names[1], state.tokenizer_digest, tokenizer_digest),
    ):
        if old != new:
            raise DataError(
                ErrorCode.DATA_CHANGED,
                f"checkpoint {where} was trained on other data: digest of the {name} {_short(old)}, now {_short(new)}",
                "restore the data it was trained on, or start a new run with --resume never",
                details={"what": name, "checkpoint": old, "now": new},
            )
    if state.seed != seed:
        raise DataError(
            ErrorCode.CHECKPOINT_INCOMPATIBLE,
            f"checkpoint {where} was made with seed {state.seed}, the recipe says {seed}: the order of the examples "
            "would change in the middle of the run",
            f"set seed: {state.seed}, or start a new run with --resume never",
            details={"checkpoint": state.seed, "recipe": seed},
        )


def check_rows_per_step(where: str, old: dict[str, JsonValue], rows_per_step: int, section: str = "train") -> None:
    """A step is a place in the data, so the rows of a step are fixed for the life of a run."""
    saved = rows_of(old, section)
    if saved is None or saved == rows_per_step:
        return
    raise DataError(
        ErrorCode.CHECKPOINT_INCOMPATIBLE,
        f"checkpoint {where} was made with {saved} rows per step, the recipe gives {rows_per_step}: examples would "
        "be trained twice or never",
        f"keep {section}.batch_size × {section}.gradient_accumulation_steps = {saved}, or start a new run with "
        "--resume never",
        details={"checkpoint": saved, "recipe": rows_per_step},
    )


def rows_of(recipe: dict[str, JsonValue], section: str = "train") -> int | None:
    """Rows per step of a saved recipe, None when it does not say."""
    train = recipe.get(section)
    if not isinstance(train, dict):
        return None
    size, accumulation = train.get("batch_size"), train.get("gradient_accumulation_steps")
    return size * accumulation if isinstance(size, int) and isinstance(accumulation, int) else None


def settings_changes(
    old: dict[str, JsonValue], new: dict[str, JsonValue], sections: tuple[str, ...] = TRAINING_SECTIONS
) -> dict[str, tuple[str, str]]:
    """Training settings that differ between two recipes, by dotted key: allowed, counted as PATCH, and said."""
    changes = differing({name: old.get(name) for name in sections}, {name: new.get(name) for name in sections})
    return {key: change for key, change in changes.items() if not key.startswith(DATA_KEYS)}


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "none"
