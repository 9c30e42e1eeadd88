"""A policy in a TOML file of its own: of a user for all their runs, or of a service."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import ValidationError

from loquela.core.errors import ErrorCode, RecipeError
from loquela.monitoring.alerts.policy import AlertPolicy

PROBLEMS_TOLD = 5


def load_policy(path: Path) -> AlertPolicy:
    """The policy in `path`; RecipeError(CONFIG_INVALID) that names the place and what is wrong with it."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID, f"{path} cannot be read as a file of alerts: {error}", "mend the TOML file"
        ) from error
    try:
        return AlertPolicy.model_validate(found)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:PROBLEMS_TOLD]]
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"{path}, a file of alerts, cannot be used: {'; '.join(problems)}",
            "correct it; loquela alerts rules shows every rule with its keys",
        ) from error
