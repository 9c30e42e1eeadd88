"""Plug-in points: a name picks a factory, loaded when it is first asked for.

Built-ins register through the same door as a stranger's package: by "module:attribute" path, or by an
entry point in the group `loquela.<kind>` of any installed distribution.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib import metadata
from typing import Generic, TypeVar

from loquela.core.errors import ErrorCode, InternalError, RecipeError
from loquela.core.near_names import unknown_name

Made = TypeVar("Made")


class Registry(Generic[Made]):
    """Names → zero-argument factories of one kind of thing.

    `kind` is the singular shown in messages ("tokenizer"), `group` the entry-point group ("loquela.tokenizers").
    """

    def __init__(self, kind: str, group: str) -> None:
        self.kind = kind
        self.group = group
        self._paths: dict[str, str] = {}
        self._factories: dict[str, Callable[[], Made]] = {}
        self._entry_points_read = False

    def register(self, name: str, path: str) -> None:
        """Register the factory at `path` ("package.module:attribute") without importing it."""
        if self._paths.setdefault(name, path) != path:
            raise InternalError(
                ErrorCode.INTERNAL,
                f"{self.kind} {name!r} is registered twice: {self._paths[name]} and {path}",
                "rename one of the two",
            )

    def names(self) -> list[str]:
        """All registered names, entry points included, sorted."""
        self._read_entry_points()
        return sorted(self._paths)

    def get(self, name: str) -> Made:
        """Make the thing called `name`; RecipeError(NOT_REGISTERED) names the nearest one when unknown."""
        if name not in self._factories:
            module_name, _, attribute = self.path(name).partition(":")
            self._factories[name] = getattr(importlib.import_module(module_name), attribute)
        return self._factories[name]()

    def path(self, name: str) -> str:
        """Where `name` is found ("package.module:attribute"), not imported; errors as `get`."""
        if name not in self._paths:
            self._read_entry_points()
        if name not in self._paths:
            raise RecipeError(
                ErrorCode.NOT_REGISTERED,
                unknown_name(self.kind, name, self._paths),
                f"use one of the known names, or install a package with an entry point in {self.group!r}",
            )
        return self._paths[name]

    def _read_entry_points(self) -> None:
        if self._entry_points_read:
            return
        self._entry_points_read = True
        for entry in metadata.entry_points(group=self.group):
            self._paths.setdefault(entry.name, entry.value)
