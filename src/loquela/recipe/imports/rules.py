"""What may become of one key: small rules that a program's table is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping

from pydantic import JsonValue

from loquela.recipe.imports.draft import Draft

Rule = Callable[[Draft, str], None]
Read = Callable[[JsonValue], JsonValue]


def text(value: JsonValue) -> JsonValue:
    """A text, or ValueError."""
    if isinstance(value, str) and value:
        return value
    raise ValueError("is no text")


def number(value: JsonValue) -> float:
    """A number, also one that YAML 1.1 takes for text (2e-5), or ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("is no number")
    try:
        found = float(value)
    except ValueError:
        raise ValueError("is no number") from None
    if not math.isfinite(found):
        raise ValueError("is no number")
    return found


def whole(value: JsonValue) -> int:
    """A whole number (3, 3.0), or ValueError."""
    found = number(value)
    if found != int(found):
        raise ValueError("is no whole number, which Loquela asks for here")
    return int(found)


def truth(value: JsonValue) -> bool:
    """True or false, or ValueError."""
    if isinstance(value, bool):
        return value
    raise ValueError("is neither true nor false")


def to(recipe_key: str, read: Read = text, note: str = "") -> Rule:
    """The same value under another name."""

    def rule(draft: Draft, key: str) -> None:
        try:
            found = read(draft.value(key))
        except ValueError as error:
            draft.leave(key, str(error))
            return
        draft.translate(key, {recipe_key: found}, note)

    return rule


def one_of(recipe_key: str, choices: Mapping[str, JsonValue], notes: Mapping[str, str] | None = None) -> Rule:
    """A name that has another one here."""

    def rule(draft: Draft, key: str) -> None:
        value = str(draft.value(key)).lower()
        if value in choices:
            draft.translate(key, {recipe_key: choices[value]}, (notes or {}).get(value, ""))
        else:
            draft.leave(key, f"none of what {recipe_key} knows; its default stays")

    return rule


def switch(when_true: Rule, when_false: Rule) -> Rule:
    """One rule for true and one for false; anything else is left."""

    def rule(draft: Draft, key: str) -> None:
        value = draft.value(key)
        if not isinstance(value, bool):
            draft.leave(key, "is neither true nor false")
        else:
            (when_true if value else when_false)(draft, key)

    return rule


def write(values: Mapping[str, JsonValue], note: str = "") -> Rule:
    """These recipe values, whatever stands there."""
    return lambda draft, key: draft.translate(key, values, note)


def needless(note: str) -> Rule:
    """Loquela does it anyway."""
    return lambda draft, key: draft.needless(key, note)


def left(note: str) -> Rule:
    """There is no counterpart."""
    return lambda draft, key: draft.leave(key, note)


def refused(note: str) -> Rule:
    """Loquela never does it."""
    return lambda draft, key: draft.refuse(key, note)


def needless_if(value: JsonValue, why: str, otherwise: str) -> Rule:
    """Needless at one value, left at any other."""

    def rule(draft: Draft, key: str) -> None:
        found = draft.value(key)
        same = found == value or (isinstance(value, float) and _near(found, value))
        draft.needless(key, why) if same else draft.leave(key, otherwise)

    return rule


def _near(found: JsonValue, value: float) -> bool:
    try:
        return number(found) == value
    except ValueError:
        return False


def _try(rule: Rule, draft: Draft, key: str) -> None:
    try:
        rule(draft, key)
    except ValueError as error:
        draft.leave(key, str(error))


def apply(
    draft: Draft,
    rules: Mapping[str, Rule],
    prefixes: Mapping[str, str],
    unknown: str,
    dealt_with: Collection[str] = (),
) -> None:
    """Deal with every key that is left: by its rule, by the reason of its prefix, else as unknown."""
    for key in draft.given:
        if draft.known(key) or key in dealt_with:
            continue
        prefix = next((each for each in prefixes if key.startswith(each)), None)
        if draft.value(key) is None or draft.value(key) in ("", [], {}):
            draft.needless(key, "empty in the file")
        elif key in rules:
            _try(rules[key], draft, key)
        elif prefix is not None:
            draft.leave(key, prefixes[prefix])
        else:
            draft.leave(key, unknown)
