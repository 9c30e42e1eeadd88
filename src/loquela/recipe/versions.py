"""Which schema version a recipe file is written for."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from loquela.core.errors import ErrorCode, RecipeError
from loquela.recipe.schema import SCHEMA_VERSION
from loquela.recipe.yaml_text import ParsedText

FLAT_KEYS = frozenset(
    {
        "corpus_source",
        "corpus_size_mb",
        "tokenizer_vocab_size",
        "tokenizer_model_type",
        "model_architecture",
        "training_hyperparameters",
    }
)
"""Top-level keys that only version 0, the flat pipeline configuration, has."""


def version_of(tree: JsonValue) -> JsonValue:
    """The version a tree states; without one, 0 if it has a key that only version 0 has, else the current one."""
    if not isinstance(tree, dict):
        return SCHEMA_VERSION
    stated = tree.get("schema_version")
    if stated is not None:
        return stated
    return 0 if FLAT_KEYS & tree.keys() else SCHEMA_VERSION


def refuse_other_version(parsed: ParsedText, path: Path) -> None:
    """RecipeError(CONFIG_VERSION) for a file of an older or newer version; a version that is no number is left
    to validation."""
    version = version_of(parsed.tree)
    if not isinstance(version, int) or isinstance(version, bool) or version == SCHEMA_VERSION:
        return
    where = f"{path}:{parsed.lines.get('schema_version', 1)}"
    if 0 <= version < SCHEMA_VERSION:
        raise RecipeError(
            ErrorCode.CONFIG_VERSION,
            f"{where}: this recipe has schema version {version}; this Loquela reads version {SCHEMA_VERSION}",
            f"loquela config migrate {path}",
            details={"version": version, "expected": SCHEMA_VERSION},
        )
    raise RecipeError(
        ErrorCode.CONFIG_VERSION,
        f"{where}: there is no schema version {version} in this Loquela; it reads version {SCHEMA_VERSION}",
        f"upgrade Loquela, or write schema_version: {SCHEMA_VERSION} and run loquela validate {path}",
        details={"version": version, "expected": SCHEMA_VERSION},
    )
