"""The language-neutral pieces of a plot: who and what takes part, and which events happen.

An `Entity` knows its words in both languages and what grammar asks about it (gender, number, whether it
has a name); it does not know how any sentence is built: that is for the realisers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Gender = Literal["m", "f"]


@dataclass(frozen=True, slots=True)
class Adjective:
    """A quality: one form in English; in Spanish a class of agreement read from the masculine form.

    `invariant` marks phrases such as «de madera», which agree with nothing.
    """

    english: str
    spanish: str
    invariant: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """Something one does for joy: `english` is (base, past, -ing), `tail` what follows the verb."""

    english: tuple[str, str, str]
    spanish: str
    tail_english: str = ""
    tail_spanish: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Entity:
    """A character, a pair of characters, a thing or a place.

    `english` and `spanish` are the common noun (for a pair, the two names joined). `name` makes it a
    character; `title` (Grandma, abuela) goes before the name. `counter` is ("a sack of", "un saco de") and the like.
    `stressed_a` marks feminine nouns that take el and un: «el arpa roja». `at` is the preposition of a place.
    """

    english: str
    spanish: str
    gender: Gender
    plural: bool = False
    name: str = ""
    title: tuple[str, str] = ("", "")
    adjective: Adjective | None = None
    counter: tuple[str, str] = ("", "")
    stressed_a: bool = False
    at: tuple[str, str] = ("in", "en")
    person: bool = False


class Phrase(NamedTuple):
    """One way to say an event, in both grammars; slots in braces name a grammatical form and a role."""

    english: str
    spanish: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens: its kind, and the wording this story gives it."""

    kind: str
    phrase: Phrase
    weight: int = 2  # 0: a flourish, 1: better kept, 2: the story needs it

    @property
    def is_speech(self) -> bool:
        """Speech opens a paragraph of its own, as both languages ask."""
        return self.phrase.english.startswith('"')


@dataclass(frozen=True, slots=True)
class Plot:
    """A whole story before any language: its roles and its events in order, by paragraph."""

    schema: str
    title: Event
    paragraphs: tuple[tuple[Event, ...], ...]
    entities: dict[str, Entity]
    adjectives: dict[str, Adjective] = field(default_factory=dict)
    actions: dict[str, Action] = field(default_factory=dict)
    phrases: dict[str, Phrase] = field(default_factory=dict)
