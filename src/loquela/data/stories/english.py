"""Tells a plot in English: articles, plurals, pronouns and capitals."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from loquela.data.stories.discourse import Discourse
from loquela.data.stories.entities import Entity, Plot
from loquela.data.stories.patterns import Piece, read_pattern

AN_DESPITE_CONSONANT = ("honest", "hour", "heir")
A_DESPITE_VOWEL = ("one", "useful", "unicorn", "uniform", "ukulele")
SMALL_TITLE_WORDS = frozenset({"a", "an", "the", "and", "of", "in", "on", "by", "for", "to", "at", "with"})


def article(words: str) -> str:
    """`a` or `an`, by the sound that `words` begins with."""
    if words.startswith(AN_DESPITE_CONSONANT):
        return "an"
    if words.startswith(A_DESPITE_VOWEL):
        return "a"
    return "an" if words[0] in "aeiou" else "a"


def title_case(words: str) -> str:
    """English titles: capitals but for the small words inside."""
    parts = words.split(" ")
    return " ".join(
        part if index and part in SMALL_TITLE_WORDS else part[:1].upper() + part[1:] for index, part in enumerate(parts)
    )


def noun(entity: Entity) -> str:
    """The noun with its adjective: "red kite"."""
    return f"{entity.adjective.english} {entity.english}" if entity.adjective else entity.english


def indefinite(entity: Entity) -> str:
    """ "a red kite", "an old map", "a pair of green gloves", "some marbles"."""
    words = noun(entity)
    if entity.counter[0]:
        return f"{entity.counter[0]} {words}"
    return f"some {words}" if entity.plural else f"{article(words)} {words}"


def name(entity: Entity) -> str:
    """The proper name, with its title."""
    return f"{entity.title[0]} {entity.name}" if entity.title[0] else entity.name


def introduction(entity: Entity) -> str:
    """ "a shy girl named Ana"; one with a title needs no more."""
    return name(entity) if entity.title[0] else f"{indefinite(entity)} named {entity.name}"


def _pronoun(masculine: str, feminine: str, plural: str) -> Callable[[Entity], str]:
    def choose(entity: Entity) -> str:
        return plural if entity.plural else feminine if entity.gender == "f" else masculine

    return choose


def _number(singular: str, plural: str) -> Callable[[Entity], str]:
    def choose(entity: Entity) -> str:
        return plural if entity.plural else singular

    return choose


HE = _pronoun("he", "she", "they")
HIM = _pronoun("him", "her", "them")

# Forms that depend on the entity alone.
FORMS: dict[str, Callable[[Entity], str]] = {
    "he": HE,
    "himself": _pronoun("himself", "herself", "themselves"),
    "his": _pronoun("his", "her", "their"),
    "it": _number("it", "they"),
    "them": _number("it", "them"),
    "was": _number("was", "were"),
    "is": _number("is", "are"),
    "this": _number("this", "these"),
    "that": _number("that", "those"),
    "a": indefinite,
    "the": lambda entity: f"the {entity.english}",
    "n": lambda entity: entity.english,
    "T": lambda entity: title_case(noun(entity)),
    "at": lambda entity: f"{entity.at[0]} the {entity.english}",
    "name": name,
}


@cache
def _pieces(pattern: str) -> tuple[Piece, ...]:
    return read_pattern(pattern, spanish=False)


class EnglishTeller:
    """One telling of one plot; it remembers who was spoken of."""

    def __init__(self, plot: Plot) -> None:
        self.plot = plot
        self.discourse = Discourse(plot)

    def full(self, entity: Entity) -> str:
        """A reference that stands alone: the name, or "the girl", or "the kite"."""
        if not entity.person:
            return f"the {entity.english}"
        return f"the {entity.english}" if self.discourse.by_kind(entity) else name(entity)

    def _refer(self, form: str, entity: Entity) -> str:
        match form:
            case "subject":
                if not entity.person:
                    return f"the {entity.english}"
                return HE(entity) if self.discourse.subject_is_clear(entity) else self.full(entity)
            case "full":
                self.discourse.focus = entity if entity.person else self.discourse.focus
                self.discourse.streak = 0
                return self.full(entity)
            case "him":
                return HIM(entity) if self.discourse.object_is_clear(entity) else self.full(entity)
            case "'s":
                return f"{self.full(entity)}'s"
            case "intro":
                self.discourse.introduce(entity)
                return introduction(entity)
        raise KeyError(form)

    def _slot(self, piece: Piece) -> str:
        form, role = piece.form, piece.role
        if form == "=":
            return self.say(self.plot.phrases[role].english)
        if form == "adj":
            return self.plot.adjectives[role].english
        if form in ("inf", "past", "ing"):
            action = self.plot.actions[role]
            return action.english[("inf", "past", "ing").index(form)] + action.tail_english
        entity = self.plot.entities[role]
        plain = FORMS.get(form)
        return plain(entity) if plain else self._refer(form, entity)

    def say(self, pattern: str) -> str:
        """The pattern with every slot filled."""
        said: list[str] = []
        for piece in _pieces(pattern):
            if not piece.form:
                said.append(piece.literal)
                continue
            text = self._slot(piece)
            said.append(text[:1].upper() + text[1:] if piece.capital and text else text)
        return "".join(said)


def tell_english(plot: Plot) -> tuple[str, str]:
    """(title, body) in English; paragraphs of the body are lines."""
    title = title_case(EnglishTeller(plot).say(plot.title.phrase.english))
    teller = EnglishTeller(plot)
    paragraphs: list[str] = []
    for events in plot.paragraphs:
        sentences: list[str] = []
        for position, event in enumerate(events):
            teller.discourse.next_event(new_paragraph=position == 0)
            sentence = teller.say(event.phrase.english)
            sentences.append(sentence[:1].upper() + sentence[1:])
        paragraphs.append(" ".join(sentences))
    return title, "\n".join(paragraphs)
