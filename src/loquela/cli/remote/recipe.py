"""A recipe of this machine as a service takes it: its local files are uploaded, and that is said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loquela.cli.options import load
from loquela.cli.output import print_text
from loquela.core.errors import ErrorCode, RecipeError
from loquela.recipe.keys import values_of

if TYPE_CHECKING:
    from pydantic import JsonValue

    from loquela.client.client import Client

# Where the service itself decides.
NOT_SENT = ("output_directory", "resume_from_checkpoint", "skip_phases")
FILE_LISTS = ("data.sources", "examples.sources", "data.decontaminate.files")
GIVEN = ("file", "environment", "set")


def recipe_for(client: Client, recipe: Path, overrides: tuple[str, ...]) -> dict[str, JsonValue]:
    """What file, environment and options say; defaults and derived values are the service's to find again.

    The files that it names and that lie here are sent first; a name of nothing here is one of the service's.
    Raises RecipeError(CONFIG_INVALID) for a wrong recipe, or a folder that only this machine has.
    """
    resolved = load(recipe, overrides)
    values = values_of(resolved.recipe)
    given = {
        key: values[key]
        for key, origin in resolved.origins.items()
        if origin.kind in GIVEN and key in values and key not in NOT_SENT
    }
    sent = _Sent(client)
    for key in FILE_LISTS:
        entries = given.get(key)
        if isinstance(entries, list):
            given[key] = [sent.source(key, entry) for entry in entries]
    return _nested(given)


def uploaded(client: Client, place: Path) -> str:
    """A file of this machine, sent: what requests call it there."""
    file = client.upload(place)
    name = f"upload:{file.id}"
    print_text(f"uploaded {place.name} ({file.bytes:,} bytes) as {name}", err=True)
    return name


def _nested(given: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Values by dotted key as sections within sections."""
    tree: dict[str, JsonValue] = {}
    for name in dict.fromkeys(key.partition(".")[0] for key in given):
        if name in given:
            tree[name] = given[name]
        else:
            tree[name] = _nested(
                {key[len(name) + 1 :]: each for key, each in given.items() if key.startswith(f"{name}.")}
            )
    return tree


class _Sent:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._names: dict[Path, str] = {}

    def source(self, key: str, entry: JsonValue) -> JsonValue:
        """A source, or a written-out entry of one, with its local file uploaded."""
        if isinstance(entry, dict):
            return entry | {"address": self.source(key, entry.get("address"))}
        if not isinstance(entry, str):
            return entry
        place = Path(entry).expanduser()
        if place.is_dir():
            raise RecipeError(
                ErrorCode.CONFIG_INVALID,
                f"{key}: {entry} is a folder of this machine, and the service takes files",
                "name its files one by one, or put the folder into corpus/ of the service's data folder",
            )
        return self._uploaded(place) if place.is_file() else entry

    def _uploaded(self, place: Path) -> str:
        place = place.resolve()
        if place not in self._names:
            self._names[place] = uploaded(self._client, place)
        return self._names[place]
