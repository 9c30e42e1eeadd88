"""The recipe of /train: a file attached to the command, a named one of the bot's folder, or a few words."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import discord
from pydantic import JsonValue, TypeAdapter, ValidationError

from loquela.bot.settings import BotSettings
from loquela.core.errors import ErrorCode, RecipeError, ResourceError
from loquela.core.near_names import unknown_name

FOLDER = "recipes"
SUFFIXES = (".yaml", ".yml", ".toml", ".json")
Recipe = str | dict[str, JsonValue]
_OBJECT: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


async def asked_for(
    attachment: discord.Attachment | None,
    named_recipe: str | None,
    corpus: str | None,
    choices: Mapping[str, JsonValue],
    settings: BotSettings,
) -> Recipe:
    """The recipe from the one place that was named; RecipeError for none or several, and errors of `of_file`."""
    given = sum(one is not None for one in (attachment, named_recipe, corpus))
    if given != 1 or (corpus is None and any(value is not None for value in choices.values())):
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            "a run is made from one thing: an attached recipe, a named one, or a corpus",
            "give one of recipe, named and corpus; model, tokenizer and epochs go with corpus only",
        )
    most = settings.most_recipe_bytes
    if attachment is not None:
        return await _attached(attachment, most)
    return named(settings.data, named_recipe, most) if named_recipe is not None else chosen(corpus or "", choices)


async def _attached(attachment: discord.Attachment, most: int) -> Recipe:
    if attachment.size > most:
        raise too_large(attachment.size, most)
    try:
        data = await attachment.read()
    except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
        raise ResourceError(
            ErrorCode.NETWORK_ERROR, "Discord did not hand the attached recipe over", "attach it again"
        ) from error
    return of_file(attachment.filename, data, most)


def of_file(name: str, data: bytes, most_bytes: int) -> Recipe:
    """What a recipe file holds, as the service takes it; RecipeError(CONFIG_INVALID, UNSUPPORTED_FORMAT)."""
    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES:
        raise RecipeError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"a recipe is a YAML or TOML file, and this one ends in {suffix or 'nothing'}",
            "attach a .yaml or .toml file",
        )
    if len(data) > most_bytes:
        raise too_large(len(data), most_bytes)
    try:
        text = data.decode("utf-8-sig")
        return _OBJECT.validate_python(tomllib.loads(text)) if suffix == ".toml" else text
    except UnicodeDecodeError as error:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID, f"the recipe is no UTF-8 text: byte {error.start}", "save it as UTF-8"
        ) from error
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        why = "holds a date or another value that no recipe has" if isinstance(error, ValidationError) else str(error)
        raise RecipeError(
            ErrorCode.CONFIG_INVALID, f"the recipe's TOML: {why}", "mend it and attach it again"
        ) from error


def too_large(size: int, most: int) -> RecipeError:
    """The error for a recipe of more than `most` bytes."""
    return RecipeError(
        ErrorCode.CONFIG_INVALID,
        f"the recipe has {size:,} bytes; {most:,} is the most",
        "attach the recipe only; its data belongs into files that the service has",
    )


def names(folder: Path) -> list[str]:
    """The named recipes: files in `recipes/` of the bot's folder, without their endings."""
    place = folder / FOLDER
    if not place.is_dir():
        return []
    return sorted({path.stem for path in place.iterdir() if path.suffix in SUFFIXES and path.is_file()})


def named(folder: Path, name: str, most_bytes: int) -> Recipe:
    """The recipe of that name; RecipeError(NOT_REGISTERED) when there is none."""
    known = names(folder)
    if name not in known:
        raise RecipeError(
            ErrorCode.NOT_REGISTERED,
            unknown_name("recipe", name, known) if known else "no recipe has a name here",
            f"put NAME.yaml into {FOLDER} in the bot's folder, or attach a recipe",
        )
    path = next(path for path in sorted((folder / FOLDER).iterdir()) if path.stem == name and path.suffix in SUFFIXES)
    try:
        return of_file(path.name, path.read_bytes(), most_bytes)
    except OSError as error:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID, f"the recipe {name!r} cannot be read: {error.strerror}", "look at its file"
        ) from error


def chosen(corpus: str, choices: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """A recipe of defaults for a corpus; `choices` are dotted keys with values, null where nothing was chosen."""
    recipe: dict[str, JsonValue] = {"data": {"sources": [part.strip() for part in corpus.split(",") if part.strip()]}}
    for key, value in choices.items():
        section, _, name = key.partition(".")
        inner = recipe.setdefault(section, {})
        if value is not None and isinstance(inner, dict):
            inner[name] = value
    return {key: value for key, value in recipe.items() if value}
