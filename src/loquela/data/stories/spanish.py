"""Tells a plot in Spanish: agreement in gender and number, del and al, personal a, subjects left out."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from loquela.data.stories.conjugation import conjugate, gerund
from loquela.data.stories.discourse import Discourse
from loquela.data.stories.entities import Adjective, Entity, Plot
from loquela.data.stories.patterns import Piece, read_pattern


def _by_gender_and_number(masculine: str, feminine: str, masculines: str, feminines: str) -> Callable[[Entity], str]:
    def choose(entity: Entity) -> str:
        if entity.plural:
            return feminines if entity.gender == "f" else masculines
        return feminine if entity.gender == "f" else masculine

    return choose


def _by_number(singular: str, plural: str) -> Callable[[Entity], str]:
    def choose(entity: Entity) -> str:
        return plural if entity.plural else singular

    return choose


ENDING = _by_gender_and_number("o", "a", "os", "as")
THIS = _by_gender_and_number("este", "esta", "estos", "estas")
THAT = _by_gender_and_number("ese", "esa", "esos", "esas")
_THE = _by_gender_and_number("el", "la", "los", "las")
_A = _by_gender_and_number("un", "una", "unos", "unas")


@cache
def agree(adjective: Adjective, gender: str, plural: bool) -> str:
    """The adjective as its noun wants it: «rojo, roja, rojos, rojas», «trabajador, trabajadora», «feliz, felices»."""
    word = adjective.spanish
    if adjective.invariant:
        return word
    if gender == "f":
        if word.endswith("o"):
            word = word[:-1] + "a"
        elif word.endswith("or"):
            word += "a"
    if not plural:
        return word
    if word.endswith("ón"):
        return word[:-2] + "ones"
    if word.endswith("z"):
        return word[:-1] + "ces"
    return word + ("s" if word[-1] in "aeiouáéó" else "es")


def the(entity: Entity) -> str:
    """The definite article, el before a stressed a."""
    return "el" if entity.stressed_a and not entity.plural else _THE(entity)


def an(entity: Entity) -> str:
    """The indefinite article, un before a stressed a."""
    return "un" if entity.stressed_a and not entity.plural else _A(entity)


def noun(entity: Entity) -> str:
    """The noun with its adjective after it: «cometa roja»."""
    if entity.adjective is None:
        return entity.spanish
    return f"{entity.spanish} {agree(entity.adjective, entity.gender, entity.plural)}"


def indefinite(entity: Entity) -> str:
    """«una cometa roja», «unas gafas verdes», «un saco de harina»."""
    return f"{entity.counter[1] or an(entity)} {noun(entity)}"


def name(entity: Entity) -> str:
    """The proper name; a title takes its article: «la abuela Rosa»; a pair is joined: «Ana e Inés»."""
    if entity.plural:
        return entity.spanish
    return f"{the(entity)} {entity.title[1]} {entity.name}" if entity.title[1] else entity.name


def introduction(entity: Entity) -> str:
    """«una niña tímida llamada Ana»; one with a title needs no more."""
    if entity.title[1]:
        return name(entity)
    return f"{an(entity)} {noun(entity)} llamad{ENDING(entity)} {entity.name}"


def contract(preposition: str, words: str) -> str:
    """`de` or `a` before `words`, joined to an article el: «del río», «al río», «de la casa»."""
    if words.startswith("el "):
        return ("del " if preposition == "de" else "al ") + words[3:]
    return f"{preposition} {words}"


def place(entity: Entity) -> str:
    """«en el bosque», «junto al río»."""
    where, words = entity.at[1], f"{the(entity)} {entity.spanish}"
    if where.endswith(" a") or where.endswith(" de"):
        start, _, preposition = where.rpartition(" ")
        return f"{start} {contract(preposition, words)}"
    return f"{where} {words}"


# Forms that depend on the entity alone.
FORMS: dict[str, Callable[[Entity], str]] = {
    "o": ENDING,
    "él": _by_gender_and_number("él", "ella", "ellos", "ellas"),
    "lo": _by_gender_and_number("lo", "la", "los", "las"),
    "es": _by_number("", "es"),
    "este": THIS,
    "ese": THAT,
    "mi": lambda entity: ("mis " if entity.plural else "mi ") + entity.spanish,
    "tu": lambda entity: ("tus " if entity.plural else "tu ") + entity.spanish,
    "un": indefinite,
    "desc": indefinite,
    "el": lambda entity: f"{the(entity)} {entity.spanish}",
    "El": lambda entity: f"{the(entity)} {noun(entity)}",
    "n": lambda entity: entity.spanish,
    "en": place,
    "name": name,
}


@cache
def _pieces(pattern: str) -> tuple[Piece, ...]:
    return read_pattern(pattern, spanish=True)


class SpanishTeller:
    """One telling of one plot; it remembers who was spoken of."""

    def __init__(self, plot: Plot) -> None:
        self.plot = plot
        self.discourse = Discourse(plot)

    def full(self, entity: Entity) -> str:
        """A reference that stands alone: the name, or «la niña», or «la cometa»."""
        if not entity.person:
            return f"{the(entity)} {entity.spanish}"
        return f"{the(entity)} {entity.spanish}" if self.discourse.by_kind(entity) else name(entity)

    def _refer(self, form: str, entity: Entity) -> str:
        match form:
            case "subject":
                if not entity.person:
                    return f"{the(entity)} {entity.spanish}"
                return "" if self.discourse.subject_is_clear(entity) else self.full(entity)
            case "full":
                self.discourse.focus = entity if entity.person else self.discourse.focus
                self.discourse.streak = 0
                return self.full(entity)
            case "del":
                return contract("de", self.full(entity))
            case "al":
                return contract("a", self.full(entity))
            case "intro":
                self.discourse.introduce(entity)
                return introduction(entity)
        raise KeyError(form)

    def _slot(self, piece: Piece) -> str:
        form, role = piece.form, piece.role
        if form == "=":
            return self.say(self.plot.phrases[role].spanish)
        if form == "adj":
            whose = self.plot.entities[piece.extra]
            return agree(self.plot.adjectives[role], whose.gender, whose.plural)
        if form in ("inf", "ing"):
            action = self.plot.actions[role]
            verb = action.spanish if form == "inf" else gerund(action.spanish)
            return verb + action.tail_spanish
        entity = self.plot.entities[role]
        if form == "v":
            infinitive, tense = piece.extra.split()
            return conjugate(infinitive, tense, plural=entity.plural)
        plain = FORMS.get(form)
        return plain(entity) if plain else self._refer(form, entity)

    def say(self, pattern: str) -> str:
        """The pattern with every slot filled; a subject left out takes its space along and passes its capital on."""
        said: list[str] = []
        dropped = capital = False
        for piece in _pieces(pattern):
            text = self._slot(piece) if piece.form else piece.literal
            if dropped:
                text = text.removeprefix(" ")
            capital = capital or piece.capital
            dropped = bool(piece.form) and not text
            if text[:1] in ("I", "Í") and said and said[-1].endswith(" y "):
                said[-1] = said[-1][:-2] + "e "  # «Ana e Inés»: y gives way before its own sound
            if text:
                said.append(text[:1].upper() + text[1:] if capital else text)
                capital = False
        return "".join(said)


def tell_spanish(plot: Plot) -> tuple[str, str]:
    """(title, body) in Spanish; paragraphs of the body are lines."""
    title = SpanishTeller(plot).say(plot.title.phrase.spanish)
    teller = SpanishTeller(plot)
    paragraphs: list[str] = []
    for events in plot.paragraphs:
        sentences: list[str] = []
        for position, event in enumerate(events):
            teller.discourse.next_event(new_paragraph=position == 0)
            sentence = teller.say(event.phrase.spanish)
            sentences.append(sentence[:1].upper() + sentence[1:])
        paragraphs.append(" ".join(sentences))
    return title, "\n".join(paragraphs)
