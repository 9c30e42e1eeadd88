"""Which shape a recipe's base has, without its weights: by config.json, a GGUF header, a known name, the hub."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.base import BASE_NAME, HERE, read_base
from loquela.core.entry import resolve
from loquela.core.errors import DataError, ErrorCode, LoquelaError, RecipeError
from loquela.core.near_names import nearest
from loquela.finetuning.planning.shape import BaseShape, shape_of
from loquela.recipe.finetune_section import FinetuneSection

CONFIG_NAME = "config.json"
KNOWN_NAME = "known_bases.json"
INSTRUCT = "-Instruct"


def find_shape(section: FinetuneSection, artifacts: Path) -> tuple[BaseShape, str]:
    """The shape of `finetune.base` and where it was read; of the hub only a config.json is ever fetched.

    `artifacts` is the folder in which earlier runs kept what they made. RecipeError when nothing tells the shape.
    """
    place = Path(section.base).expanduser()
    if (place / CONFIG_NAME).is_file():
        return shape_of(_config(place / CONFIG_NAME), section.base), f"base: {place / CONFIG_NAME}"
    kept = _kept_config(section, artifacts)
    if kept is not None:
        return shape_of(_config(kept), section.base), f"base: {kept}"
    known = known_bases()
    if section.base in known:
        return shape_of(known[section.base], section.base), "base: the built-in table of known models"
    return _fetched(section, known)


def known_bases() -> dict[str, dict[str, JsonValue]]:
    """config.json, as far as it matters here, of the bases that the recipes name; aliases resolved."""
    text = resources.files("loquela.finetuning.planning").joinpath(KNOWN_NAME).read_text(encoding="utf-8")
    table = json.loads(text)
    bases: dict[str, dict[str, JsonValue]] = table["bases"]
    aliases: dict[str, str] = table["aliases"]
    named = {alias: bases[name] for alias, name in aliases.items()}
    # A model and the one that follows instructions have the same shape.
    plain = {name.removesuffix(INSTRUCT): config for name, config in bases.items() if name.endswith(INSTRUCT)}
    return {**plain, **bases, **named}


def _fetched(section: FinetuneSection, known: dict[str, dict[str, JsonValue]]) -> tuple[BaseShape, str]:
    """By the header of a GGUF file, or by config.json on the hub."""
    place = Path(section.base).expanduser()
    try:
        if place.is_file():
            read: Callable[[Path], dict[str, JsonValue]] = resolve(
                "loquela.models.pretrained.gguf_network:config_of_file"
            )
            return shape_of(read(place), section.base), f"base: header of {place}"
        fetch: Callable[[str, str | None], dict[str, JsonValue]] = resolve("loquela.models.pretrained.hub:fetch_config")
        config = fetch(section.base, section.revision)
    except LoquelaError as error:
        near = nearest(section.base, known)
        hint = f"did you mean {near}? Otherwise " if near else ""
        raise RecipeError(
            error.code,
            f"the shape of finetune.base {section.base!r} is not known here: {error.message}",
            f"{hint}{error.remedy}, or give a folder that holds the model's {CONFIG_NAME}: a plan needs no more of it",
        ) from error
    return shape_of(config, section.base), f"base: {CONFIG_NAME} of {section.base} on the hub"


def _kept_config(section: FinetuneSection, artifacts: Path) -> Path | None:
    """config.json of the newest base artifact that an earlier run made of the same base."""
    made = sorted((artifacts / "base").glob(f"*/{BASE_NAME}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for record in made:
        try:
            identity = read_base(record.parent)
        except DataError:
            continue  # the base stage says so when it is used
        folder = record.parent if identity.location == HERE else Path(identity.location)
        config = folder / CONFIG_NAME
        if identity.source == section.base and section.revision in (None, identity.revision) and config.is_file():
            return config
    return None


def _config(path: Path) -> dict[str, JsonValue]:
    try:
        found: JsonValue = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID, f"{path} cannot be read: {error}", "give the model's folder as it was published"
        ) from error
    if not isinstance(found, dict):
        raise RecipeError(
            ErrorCode.CONFIG_INVALID, f"{path} is no JSON object", "give the model's folder as it was published"
        )
    return found
