"""Who has been spoken of: what both realisers ask before they say "she" or leave a subject out."""

from __future__ import annotations

from loquela.data.stories.entities import Entity, Plot

PRONOUNS_IN_A_ROW = 2


class Discourse:
    """The last subject, and the characters named in this event and the one before."""

    def __init__(self, plot: Plot) -> None:
        self.people = [entity for entity in plot.entities.values() if entity.name]
        self.focus: Entity | None = None
        self.streak = 0
        self.previous: list[Entity] = []
        self.current: list[Entity] = []
        self.mentions: dict[Entity, int] = {}

    def next_event(self, *, new_paragraph: bool) -> None:
        """Moves on; a new paragraph keeps the subject only where nobody else was named."""
        if new_paragraph and any(entity is not self.focus for entity in self.current):
            self.focus = None
        self.previous, self.current = self.current, []

    def mention(self, entity: Entity) -> None:
        """Notes that `entity` was named."""
        if entity.person and entity not in self.current:
            self.current.append(entity)

    def introduce(self, entity: Entity) -> None:
        """Notes a newcomer, who is the subject where there was none."""
        self.focus = self.focus or entity
        self.mention(entity)

    def has_rival(self, entity: Entity, besides: Entity | None = None) -> bool:
        """True if someone else near by would answer to the same pronoun."""
        return any(
            other is not entity
            and other is not besides
            and (other.gender, other.plural) == (entity.gender, entity.plural)
            for other in (*self.previous, *self.current)
        )

    def subject_is_clear(self, entity: Entity) -> bool:
        """True if a pronoun (or nothing at all) is enough to name the subject; notes the new subject."""
        clear = self.focus is entity and self.streak < PRONOUNS_IN_A_ROW and not self.has_rival(entity)
        self.focus = entity
        self.streak = self.streak + 1 if clear else 0
        self.mention(entity)
        return clear

    def object_is_clear(self, entity: Entity) -> bool:
        """True if a pronoun is enough to name the object."""
        near = entity in self.previous or entity in self.current
        clear = near and not self.has_rival(entity, besides=self.focus if self.focus is not entity else None)
        self.mention(entity)
        return clear

    def by_kind(self, entity: Entity) -> bool:
        """True when it is time to say "the girl" instead of the name, and nobody else is one."""
        self.mention(entity)
        count = self.mentions.get(entity, 0) + 1
        self.mentions[entity] = count
        if count % 4 != 3 or entity.title[0] or entity.plural:
            return False
        return sum(other.english == entity.english for other in self.people) == 1
