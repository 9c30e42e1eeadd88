"""Recipes from outside: strict, and without a way to the server's own files or keys.

A path in a request is a name below the folder `corpus/` of the service, or `upload:<id>` of an uploaded file; nothing
else that lies on the server can be named.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, JsonValue

from loquela.core.errors import RecipeError
from loquela.jobs.settings import ServiceSettings
from loquela.recipe.loading import ResolvedRecipe, load_values
from loquela.recipe.problems import Problem, recipe_error
from loquela.recipe.schema import Recipe
from loquela.recipe.source_entry import PREFIX
from loquela.security.addresses import refusal
from loquela.service.request_rules import OWN_KEYS, refusals, refused

REQUEST = "request"
UPLOAD = "upload:"
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
FindUpload = Callable[[str], Path]
Values = dict[str, JsonValue]


def admit(values: JsonValue, settings: ServiceSettings, find_upload: FindUpload) -> ResolvedRecipe:
    """The recipe that a request holds, as an object or as YAML text, with its names turned into places on this server.

    Raises RecipeError(CONFIG_INVALID) with every problem at once: those of the recipe, or else everything in it that
    may not be asked from outside.
    """
    asked = load_values(values, REQUEST)
    places = _Places(settings, find_upload)
    places.refused.extend(refusals(asked, settings.allowed_credentials))
    overrides: dict[str, JsonValue] = {"output_directory": str(settings.data)}
    overrides |= {key: places.file(key, str(path)) for key, path in _paths(asked.recipe)}
    overrides |= _sources(asked.recipe, places)
    places.raise_if_refused()
    return load_values(values, REQUEST, overrides)


def problems_of(error: RecipeError) -> list[Values]:
    """Each problem that `admit` refused a recipe for: code, where, key, message, remedy."""
    found = error.details.get("problems")
    listed = [problem for problem in found if isinstance(problem, dict)] if isinstance(found, list) else []
    alone: Values = {"where": REQUEST, "key": error.details.get("key", ""), "message": error.message}
    return [{"code": error.code, **problem} for problem in listed or [{**alone, "remedy": error.remedy}]]


def named_place(key: str, name: str, settings: ServiceSettings, find_upload: FindUpload) -> str:
    """Where a text lies that a request names; RecipeError(CONFIG_INVALID) for what a recipe's sources may not name."""
    places = _Places(settings, find_upload)
    found = places.source(key, name)
    places.raise_if_refused()
    return found


def as_given(resolved: ResolvedRecipe) -> Values:
    """The recipe without what was only derived, so that the worker derives the same again and says why."""
    return dict(resolved.recipe.model_dump(mode="json", exclude_unset=True))


class _Places:
    """From names in a request to places on the server; what is refused is kept, so that all of it is told at once."""

    def __init__(self, settings: ServiceSettings, find_upload: FindUpload) -> None:
        self.refused: list[RecipeError] = []
        self._settings = settings
        self._root = settings.corpus.resolve()
        self._find_upload = find_upload

    def raise_if_refused(self) -> None:
        """Raise what was refused: one error as it is, several as one."""
        if len(self.refused) == 1:
            raise self.refused[0]
        if self.refused:
            raise recipe_error([_problem(error) for error in self.refused])

    def source(self, key: str, address: str) -> str:
        """An address that a request may name, as the recipe takes it."""
        return self._kept(lambda: self._source(key, address))

    def base(self, key: str, base: str) -> str:
        """A base model: a package, a folder or file below corpus/, or a name on the hub."""
        if base.startswith("package:"):
            return base
        if HUB_NAME.fullmatch(base) and not (self._root / base).exists():
            return base
        return self.file(key, base)

    def file(self, key: str, name: str) -> str:
        """A file or folder below corpus/, without a link that leads out of it."""
        return self._kept(lambda: str(self._file(key, name)))

    def _kept(self, find: Callable[[], str]) -> str:
        try:
            return find()
        except RecipeError as error:
            self.refused.append(error)
            return ""

    def _source(self, key: str, address: str) -> str:
        if address.startswith(UPLOAD):
            return str(self._find_upload(address.removeprefix(UPLOAD)))
        _check_number(key, address)
        if any(address.startswith(beginning) for beginning in self._settings.allowed_sources):
            return address
        if PREFIX.match(address):
            raise refused(
                key,
                f"{address!r} is no source that requests may name here",
                "name one beginning with " + ", ".join([*self._settings.allowed_sources, UPLOAD]),
            )
        return str(self._file(key, address))

    def _file(self, key: str, name: str) -> Path:
        if name.startswith(UPLOAD):
            return self._find_upload(name.removeprefix(UPLOAD))
        plain = Path(name)
        strange = "\0" in name or "\\" in name or "%" in name or PREFIX.match(name) is not None
        if strange or plain.is_absolute() or ".." in plain.parts:
            raise refused(key, f"{name!r} is no name of a file below corpus/", "give a relative name without ..")
        place = (self._root / plain).resolve()
        if not place.is_relative_to(self._root):
            raise refused(key, f"{name!r} leads out of corpus/", "give a name of a file that lies in it")
        return place


def _problem(error: RecipeError) -> Problem:
    key = str(error.details.get("key", ""))
    return Problem("", key, error.message.removeprefix(f"{key}: "), error.remedy)


def _paths(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, Path]]:
    """Every single path of a recipe with its dotted key, the service's own left out."""
    for name in type(model).model_fields:
        value: object = getattr(model, name)
        key = f"{prefix}{name}"
        if isinstance(value, BaseModel):
            yield from _paths(value, f"{key}.")
        elif isinstance(value, Path) and key not in OWN_KEYS:
            yield key, value


def _sources(recipe: Recipe, places: _Places) -> dict[str, JsonValue]:
    """Lists of sources and files, and the base, as they stand on this server."""
    found: dict[str, JsonValue] = {}
    entries: list[JsonValue] = []
    for source in recipe.data.sources:
        if isinstance(source, str):
            entries.append(places.source("data.sources", source))
        else:
            written = source.model_dump(mode="json", exclude_defaults=True)
            entries.append(written | {"address": places.source("data.sources", source.address)})
    found["data.sources"] = entries
    if recipe.data.decontaminate.files:
        files = [places.file("data.decontaminate.files", str(path)) for path in recipe.data.decontaminate.files]
        found["data.decontaminate.files"] = [*files]
    if recipe.examples is not None and recipe.examples.sources:
        named = [places.source("examples.sources", source) for source in recipe.examples.sources]
        found["examples.sources"] = [*named]
    if recipe.finetune is not None:
        found["finetune.base"] = places.base("finetune.base", recipe.finetune.base)
    return found


def _check_number(key: str, address: str) -> None:
    """Refuse an address that is written as a number of this machine or its network, in any spelling.

    Names are looked up when they are fetched, and refused then where they lead there.
    """
    try:
        host = (urlsplit(address).hostname or "").partition("%")[0]
        found = socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST) if host else []
    except (OSError, ValueError):
        return
    if not host and address.startswith("https:"):
        raise refused(key, f"{address[:80]!r} names no host", "write https://host/path")
    for entry in found:
        kind = refusal(str(entry[4][0]))
        if kind is not None:
            raise refused(key, f"{host} is a {kind} address", "name a public address")
