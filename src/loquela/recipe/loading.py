"""A recipe from file, environment and options; the later wins, and every value knows where it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue, ValidationError
from pydantic_core import ErrorDetails

from loquela.core.near_names import nearest
from loquela.recipe.derivation import derive
from loquela.recipe.keys import SOURCES_KEY, Key, nest, optional_sections, recipe_keys, values_of
from loquela.recipe.layers import (
    Layer,
    environment_layer,
    file_layer,
    object_layer,
    parse_file,
    set_layer,
    shown,
)
from loquela.recipe.origins import Origin, ResolvedRecipe
from loquela.recipe.problems import Problem, recipe_error
from loquela.recipe.schema import Recipe
from loquela.recipe.secrets_in_recipes import secret_in
from loquela.recipe.source_problems import source_key_at, source_problem
from loquela.recipe.versions import refuse_other_version
from loquela.recipe.yaml_text import ParsedText, parse_yaml

__all__ = ["ResolvedRecipe", "complete_recipe", "load_recipe", "resolve"]


def load_recipe(
    path: Path | None,
    overrides: Mapping[str, JsonValue] | Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> ResolvedRecipe:
    """Read, override, derive and validate a recipe; without a file, the defaults are the base.

    Precedence: file < environment < overrides. Raises RecipeError: CONFIG_INVALID with every problem at once
    (place, dotted key, what came, what is allowed, remedy), CONFIG_VERSION for a file of another schema version,
    UNSUPPORTED_FORMAT for a file that is neither YAML nor TOML by its name.
    """
    if path is None:
        return _resolve_layers([], overrides, environment)
    parsed = parse_file(path)
    refuse_other_version(parsed, path)
    return _resolve_layers([file_layer(parsed, str(path))], overrides, environment)


def load_values(
    values: JsonValue, name: str, overrides: Mapping[str, JsonValue] | Sequence[str] = ()
) -> ResolvedRecipe:
    """The same for a tree of values, or YAML text, that came from somewhere else than a file, which `name` says."""
    parsed = parse_yaml(values, name) if isinstance(values, str) else ParsedText(tree=values)
    return _resolve_layers([file_layer(parsed, name)], overrides, None)


def complete_recipe(
    recipe: Recipe,
    overrides: Mapping[str, JsonValue] | Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> ResolvedRecipe:
    """The same for a `Recipe` made in Python, in the place of a file: what it left unset is derived.

    `Recipe(model=ModelSection(size="gpt2"))` alone has gpt2's name on the defaults' shape; this gives it its own.
    """
    return _resolve_layers([object_layer(recipe)], overrides, environment)


def _resolve_layers(
    base: list[Layer], overrides: Mapping[str, JsonValue] | Sequence[str], environment: Mapping[str, str] | None
) -> ResolvedRecipe:
    given: dict[str, tuple[JsonValue, Origin]] = {}
    problems: list[Problem] = []
    places: dict[str, str] = {}
    for layer in [*base, environment_layer(environment or {}), set_layer(overrides)]:
        given.update(layer.values)
        problems.extend(layer.problems)
        places = {**layer.places} if SOURCES_KEY in layer.values else places
    return resolve(given, problems, places)


def resolve(
    given: Mapping[str, tuple[JsonValue, Origin]],
    problems: Sequence[Problem] = (),
    places: Mapping[str, str] | None = None,
) -> ResolvedRecipe:
    """Derive what is left out, validate, and join the problems found so far with those of validation.

    `places` tells where the parts of a list stand.
    """
    values = {key: value for key, (value, _) in given.items()}
    origins = {key: origin for key, (_, origin) in given.items()}
    for key, derived in derive(values).items():
        values[key] = derived.value
        origins[key] = Origin(kind="derived", where=derived.reason)
    found = list(problems)
    try:
        # Strict JSON: no text taken for a number, no true taken for 1; paths and enums come as text.
        recipe = Recipe.model_validate_json(json.dumps(nest({**_defaults(), **values})), strict=True)
    except ValidationError as error:
        found.extend(_problem(detail, origins, places or {}) for detail in error.errors(include_url=False))
        raise recipe_error(found) from None
    if found:
        raise recipe_error(found)
    return ResolvedRecipe(
        recipe=recipe, origins={key: origins.get(key, Origin(kind="default")) for key in values_of(recipe)}
    )


def _defaults() -> dict[str, JsonValue]:
    """The default of every key, but for those of sections that may be left out: what is there fills itself in."""
    optional = tuple(f"{name}." for name in optional_sections())
    return {path: key.default for path, key in recipe_keys().items() if not path.startswith(optional)}


def _problem(detail: ErrorDetails, origins: Mapping[str, Origin], places: Mapping[str, str]) -> Problem:
    section, name = SOURCES_KEY.split(".")
    came: JsonValue = detail["input"]
    if detail["loc"][:2] == (section, name) and len(detail["loc"]) > 2:
        rest = detail["loc"][2:]
        inner = source_key_at(rest)
        remedy = _remedy(inner, came) if inner else ""
        return source_problem(detail, rest, _where(origins.get(SOURCES_KEY)), places, shown(came), remedy)
    path = index = below = ""
    for part in detail["loc"]:
        if isinstance(part, int):
            index = f"[{part}]"
        elif path not in recipe_keys():
            path = f"{path}.{part}" if path else part
        elif index:
            below += f".{part}"
    key = recipe_keys().get(path)
    if key is None:
        return _rule_problem(path, str(detail["msg"]), origins)
    if detail["type"] == "value_error" and key.kind in ("list", "mapping"):
        return _rule_problem(path, str(detail["msg"]), origins)
    if below:  # a key of one item of a list
        what = {"missing": "is missing", "extra_forbidden": "is no key here"}.get(detail["type"], str(detail["msg"]))
        remedy = f"change {path}{index}{below}; what stands there: loquela config explain {path}"
        return Problem(_where(origins.get(path)), path + index + below, what, remedy)
    if detail["type"] == "value_error" and secret_in(came) is not None:
        return _rule_problem(path, str(detail["msg"]), origins)
    return Problem(
        _where(origins.get(path)),
        path + index,
        f"{shown(came)} is not allowed; allowed: {key.allowed}",
        _remedy(key, came),
    )


def _where(origin: Origin | None) -> str:
    if origin is None:
        return ""
    return f"derived ({origin.where})" if origin.kind == "derived" else origin.where


def _rule_problem(section: str, message: str, origins: Mapping[str, Origin]) -> Problem:
    """A rule between several keys of a section: placed at the first key it names that somebody wrote."""
    text = message.removeprefix("Value error, ")
    names = [key for key in recipe_keys() if key.startswith(section) and key.rpartition(".")[2] in text]
    written = [key for key in names if key in origins and origins[key].kind != "derived"]
    place = next(iter(written), next(iter(names), section))
    what, _, remedy = text.partition("; ")
    return Problem(_where(origins.get(place)), place, what, remedy or f"change {' or '.join(names)}")


def _remedy(key: Key, came: JsonValue) -> str:
    near = nearest(str(came), [str(choice) for choice in key.choices])
    if near:
        return f"write {key.path}: {near}"
    if key.kind in ("text", "path") and isinstance(came, int | float):
        return f'quote it: {key.path}: "{shown(came)}"'
    if key.kind in ("integer", "number") and isinstance(came, str):
        return f"write {key.path} as a number without quotes, {key.allowed}"
    return f"write {key.path} as {key.allowed}; the default is {shown(key.default)}"
