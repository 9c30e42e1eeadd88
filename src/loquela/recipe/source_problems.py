"""What is wrong inside one entry of `data.sources`, said of the key that is wrong, at its own line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic_core import ErrorDetails

from loquela.core.near_names import nearest
from loquela.recipe.keys import SOURCES_KEY, Key, source_keys
from loquela.recipe.problems import Problem

SPELLINGS = {"lang": "language", "path": "address", "url": "address", "column": "text", "charset": "encoding"}
"""What people write for a key whose name is too different for the nearest one to be found."""


def source_problem(
    detail: ErrorDetails, rest: Sequence[int | str], where: str, places: Mapping[str, str], shown: str, remedy: str
) -> Problem:
    """The problem at `rest` below `data.sources`: the entry's number, the form it was taken for, then its keys.

    `where` is the place of the whole list, `places` that of every key inside; `shown` the value as messages show it
    and `remedy` what a value of the wrong kind needs.
    """
    entry = f"{SOURCES_KEY}[{rest[0]}]"
    inner = ""
    for part in rest[2:]:
        inner += f"[{part}]" if isinstance(part, int) else f".{part}"
    path = entry + inner
    place = places.get(path) or places.get(entry) or where
    key = _key_at(inner)
    if detail["type"] == "extra_forbidden":
        return _unknown(place, path, inner)
    if detail["type"] == "missing":
        return Problem(place, path, f"is missing; it is {key.description if key else 'required'}", f"write {path}")
    if key is None and detail["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return Problem(
            place,
            path,
            f"{shown} is neither an address nor an entry",
            "write text, or a mapping with the key address" if not inner else f"write the keys of {path}",
        )
    if key is None or detail["type"] == "value_error":
        what, _, mending = str(detail["msg"]).removeprefix("Value error, ").partition("; ")
        return Problem(place, path, what, mending or f"change {path}")
    return Problem(place, path, f"{shown} is not allowed; allowed: {key.allowed}", remedy or f"write {key.allowed}")


def source_key_at(rest: Sequence[int | str]) -> Key | None:
    """The key of an entry that a place below `data.sources` means, None where it is the entry itself or unknown."""
    return _key_at("".join(f".{part}" for part in rest[2:] if isinstance(part, str)))


def _key_at(inner: str) -> Key | None:
    return source_keys().get(inner.partition("[")[0].removeprefix("."))


def _unknown(place: str, path: str, inner: str) -> Problem:
    section, _, last = inner.removeprefix(".").rpartition(".")
    siblings = {
        name.removeprefix(f"{section}.").partition(".")[0]
        for name in source_keys()
        if not section or name.startswith(f"{section}.")
    }
    near = SPELLINGS.get(last) if not section else None
    near = near or nearest(last, sorted(siblings))
    if near is None:
        known = ", ".join(sorted(siblings))
        return Problem(place, path, f"no such key; known: {known}", "remove it")
    return Problem(place, path, f"no such key; did you mean {near!r}?", f"write {near}, or remove it")


def inner_places(lines: Mapping[str, int], name: str) -> dict[str, str]:
    """The place (file:line) of everything below `data.sources`, from the lines of a parsed file."""
    return {path: f"{name}:{line}" for path, line in lines.items() if path.startswith(f"{SOURCES_KEY}[")}
