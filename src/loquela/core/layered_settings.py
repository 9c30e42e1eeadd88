"""Settings of a program as layers of which the last one that says something wins, and what is wrong with them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.near_names import unknown_name

Settings = TypeVar("Settings", bound=BaseModel)
Layer = tuple[str, Mapping[str, JsonValue]]


def settings_of(model: type[Settings], layers: Sequence[Layer], listed_by: str) -> Settings:
    """The settings that `layers` (where each comes from, and what it says) make together.

    Raises RecipeError(CONFIG_INVALID) naming the layer, the key and what it may be; `listed_by`: who lists them all.
    """
    values: dict[str, JsonValue] = {}
    origins: dict[str, str] = {}
    for origin, layer in layers:
        values |= layer
        origins |= dict.fromkeys(layer, origin)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        key = str(problem["loc"][0]) if problem["loc"] else "settings"
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"{key} from {origins.get(key, 'the settings')} cannot be used: {problem['msg']}",
            f"write another value for {key}; {listed_by} lists them all",
            details={"key": key},
        ) from error


def layer_of_file(path: Path, model: type[BaseModel], on_unknown: str) -> Layer:
    """What a TOML file says.

    Raises RecipeError(CONFIG_INVALID) for one that cannot be read, or a key that there is not; then `on_unknown` is to
    be done.
    """
    try:
        found: dict[str, JsonValue] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID, f"{path} cannot be read as settings: {error}", "mend the TOML file"
        ) from error
    for key in found:
        if key not in model.model_fields:
            raise RecipeError(
                ErrorCode.CONFIG_INVALID,
                f"{path}: {unknown_name('setting', key, model.model_fields)}",
                on_unknown,
            )
    return str(path), found
