"""A recipe while it is made from another program's configuration: what each of its keys became, none forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field, JsonValue

from loquela.core.model import BoundaryModel
from loquela.recipe.secrets_in_recipes import secret_in

Outcome = Literal["translated", "changed", "needless", "left", "refused", "default"]


class ImportedKey(BoundaryModel):
    """One key of the configuration.

    translated: says the same; changed: says nearly the same, `note` tells the difference; needless: asks for what
    Loquela does anyway, or for nothing; left: has no counterpart; refused: asks for what Loquela never does;
    default: not in the file, but the program's own default differs from ours and is written.
    """

    key: str
    value: JsonValue
    outcome: Outcome
    to: dict[str, JsonValue] = Field(default_factory=dict, description="dotted recipe key → value")
    note: str = ""


class Draft:
    """The configuration `given`, the recipe values so far, and one ImportedKey for every key that was dealt with."""

    def __init__(self, given: Mapping[str, JsonValue], prefix: str = "") -> None:
        self.given = given
        self.prefix = prefix
        self.values: dict[str, JsonValue] = {}
        self.keys: list[ImportedKey] = []

    def value(self, key: str) -> JsonValue:
        """What stands at `key`; None where it is empty or absent."""
        return self.given.get(key)

    def translate(self, key: str, to: Mapping[str, JsonValue], note: str = "") -> None:
        """`key` becomes the recipe values `to`; with a `note`, because they do not say quite the same."""
        self.values.update(to)
        self._record(key, "changed" if note else "translated", to, note)

    def needless(self, key: str, note: str) -> None:
        """Nothing has to be written for `key`."""
        self._record(key, "needless", {}, note)

    def leave(self, key: str, note: str) -> None:
        """`key` has no counterpart."""
        self._record(key, "left", {}, note)

    def refuse(self, key: str, note: str) -> None:
        """`key` asks for what Loquela never does."""
        self._record(key, "refused", {}, note)

    def default(self, key: str, value: JsonValue, to: Mapping[str, JsonValue]) -> None:
        """`key` is not in the file, where it means `value`: written out, since our default is another."""
        if key not in self.given:
            self.values.update(to)
            self.keys.append(ImportedKey(key=key, value=value, outcome="default", to={**to}))

    def known(self, key: str) -> bool:
        """Whether `key` was dealt with already."""
        return any(each.key == self.prefix + key for each in self.keys)

    def together(self, recipe_key: str, found: Sequence[tuple[str, JsonValue]], differ: str) -> None:
        """What several parts (place, value) give to one recipe key: written where they agree, else left."""
        alike = all(value == found[0][1] for _, value in found)
        to: dict[str, JsonValue] = {recipe_key: found[0][1]} if alike else {}
        self.values.update(to)
        for place, value in found:
            outcome: Outcome = "translated" if alike else "left"
            note = "" if alike else differ
            self.keys.append(ImportedKey(key=place, value=value, outcome=outcome, to=to, note=note))

    def withdraw(self, recipe_key: str, why: str) -> bool:
        """Take back what a key became, because the recipe cannot hold it; whether there was such a key."""
        for number, each in enumerate(self.keys):
            if any(key == recipe_key or recipe_key.startswith((f"{key}.", f"{key}[")) for key in each.to):
                for key in each.to:
                    self.values.pop(key, None)
                self.keys[number] = ImportedKey(key=each.key, value=each.value, outcome="left", note=why)
                return True
        return False

    def _record(self, key: str, outcome: Outcome, to: Mapping[str, JsonValue], note: str) -> None:
        value = self.given.get(key)
        shown = "(not shown: it looks like a secret)" if secret_in(value, key) else value
        self.keys.append(ImportedKey(key=self.prefix + key, value=shown, outcome=outcome, to={**to}, note=note))
