"""Seeded choices: every story draws its cast and wording from here, and from nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import TypeVar

from loquela.data.stories.cast import (
    ANIMAL_NAMES,
    ANIMALS,
    CHILDREN,
    GROWN,
    HELPER_TRAITS,
    NAMES,
    TITLES,
    TRAITS,
    WALKERS,
    Kind,
)
from loquela.data.stories.entities import Adjective, Entity, Gender
from loquela.data.stories.things import LOOKS

T = TypeVar("T")


class Draw:
    """The dice of one story; never draws the same name, kind or thing twice in it."""

    def __init__(self, seed: int, index: int) -> None:
        self._random = Random(f"loquela stories {seed} {index}").random
        self._used: set[str] = set()

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._random() < probability

    def one(self, choices: Sequence[T]) -> T:
        """One of `choices`."""
        return choices[int(self._random() * len(choices))]

    def _fresh_name(self, names: Sequence[str]) -> str:
        # Two names with the same first letter are hard to tell apart for a young reader.
        while True:
            name = self.one(names)
            if name[0] not in self._used:
                self._used.add(name[0])
                return name

    def _fresh_kind(self, kinds: Sequence[Kind]) -> Kind:
        while True:
            kind = self.one(kinds)
            if kind.english not in self._used:
                self._used.add(kind.english)
                return kind

    def _gender(self) -> Gender:
        return "f" if self._random() < 0.5 else "m"

    def _gender_of(self, kind: Kind) -> tuple[Gender, str]:
        """A gender that the Spanish noun of `kind` has, and that noun."""
        gender: Gender = "f" if not kind.masculine else "m" if not kind.feminine else self._gender()
        return gender, kind.feminine if gender == "f" else kind.masculine

    def child(self, trait: Adjective | None = None) -> Entity:
        """A girl or a boy."""
        gender = self._gender()
        kind = CHILDREN[0] if gender == "f" else CHILDREN[1]
        noun = kind.feminine or kind.masculine
        adjective = trait or self.one(tuple(TRAITS.values()))
        return Entity(
            kind.english, noun, gender, name=self._fresh_name(NAMES[gender]), adjective=adjective, person=True
        )

    def animal(self, trait: Adjective | None = None, kinds: Sequence[Kind] = ANIMALS) -> Entity:
        """An animal that talks, with the gender its Spanish noun allows."""
        return self._animal(self._fresh_kind(kinds), trait or self.one(tuple(TRAITS.values())))

    def animal_called(self, english: str) -> Entity:
        """An animal of the kind `english`, with a helper's trait."""
        self._used.add(english)
        return self._animal(next(kind for kind in ANIMALS if kind.english == english), self.one(HELPER_TRAITS))

    def _animal(self, kind: Kind, adjective: Adjective) -> Entity:
        gender, noun = self._gender_of(kind)
        name = self._fresh_name(ANIMAL_NAMES[gender])
        return Entity(kind.english, noun, gender, name=name, adjective=adjective, person=True)

    def grown(self) -> Entity:
        """A grown-up with a trade."""
        kind = self._fresh_kind(GROWN)
        gender, noun = self._gender_of(kind)
        name = self._fresh_name(NAMES[gender])
        return Entity(kind.english, noun, gender, name=name, adjective=self.one(HELPER_TRAITS), person=True)

    def elder(self) -> Entity:
        """A grandparent, an aunt or an uncle, called by title and name."""
        gender = self._gender()
        title = self.one(TITLES[gender])
        return Entity(title[0], title[1], gender, name=self._fresh_name(NAMES[gender]), title=title, person=True)

    def hero(self) -> Entity:
        """Whom the story is about: a child, or an animal."""
        return self.animal(kinds=WALKERS) if self.chance(0.4) else self.child()

    def friend(self) -> Entity:
        """Someone of the hero's age."""
        return self.animal(kinds=WALKERS) if self.chance(0.5) else self.child()

    def neighbor(self) -> Entity:
        """A grown-up, or an animal with something to teach."""
        return self.grown() if self.chance(0.75) else self.animal(self.one(HELPER_TRAITS))

    def thing(self, things: Sequence[Entity], *, plain: bool = False) -> Entity:
        """One of `things` not yet in the story, with a look of its own unless `plain`."""
        while True:
            thing = self.one(things)
            if thing.english not in self._used:
                break
        self._used.add(thing.english)
        return thing if plain or self.chance(0.15) else self.dressed(thing)

    def dressed(self, thing: Entity) -> Entity:
        """`thing` with a look of its own."""
        return replace(thing, adjective=self.one(LOOKS))

    def place(self, places: Sequence[Entity]) -> Entity:
        """One of `places` not yet in the story."""
        while True:
            place = self.one(places)
            if place.english not in self._used:
                self._used.add(place.english)
                return place


def pair(first: Entity, second: Entity) -> Entity:
    """Two characters as one subject: «Ana e Inés», feminine only where both are."""
    joint = "e" if second.name[0] in "IÍ" else "y"
    gender: Gender = "f" if first.gender == second.gender == "f" else "m"
    names = f"{first.name} and {second.name}"
    return Entity(names, f"{first.name} {joint} {second.name}", gender, plural=True, name=names, person=True)
