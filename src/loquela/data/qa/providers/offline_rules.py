"""Rules that turn a sentence into a question: definitions, headings, years, and gaps for numbers and names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from loquela.core.text.facts import names
from loquela.core.text.language import function_words
from loquela.core.text.words import Words
from loquela.data.qa.gate.phrases import speaks_of_the_text
from loquela.data.qa.sentences import HEADING, Stretch, sentences
from loquela.recipe.qa_section import QuestionType

GAP = "____"
SENTENCE_WORDS = (6, 40)


@dataclass(frozen=True)
class Draft:
    """A pair, its evidence as it stands in the chunk, and the place where that begins."""

    start: int
    type: QuestionType
    question: str
    answer: str
    evidence: str


@dataclass(frozen=True)
class _Wordings:
    definition: re.Pattern[str]
    articles: frozenset[str]
    no_subject: frozenset[str]
    year: re.Pattern[str]
    what_is: str
    what_was: str
    heading: str
    in_year: str
    number: str
    name: str
    past: frozenset[str]


_EN = _Wordings(
    definition=re.compile(
        r"^(?P<subject>(?:(?:The|A|An) )?[A-Z][\w’'-]*(?: [\w’'-]+){0,5}?) (?P<verb>is|are|was|were) "
        r"(?=(?:an?|the|one of|any|some) )"
    ),
    articles=frozenset({"the", "a", "an"}),
    no_subject=frozenset(
        "he she it they we you i this that these those there here what who which such one both all each many most "
        "some other another his her its their our your my so then now thus if when while as but and or yet".split()
    ),
    year=re.compile(r"^(?P<lead>(?:In|By|During) (?P<year>1\d{3}|20\d{2})),? (?P<rest>.+)$"),
    what_is="What is meant by “{subject}”?",
    what_was="Who or what was “{subject}”?",
    heading="What is there to know about “{heading}”?",
    in_year="What happened in {year}?",
    number="Which number completes this sentence: “{sentence}”?",
    name="Which name completes this sentence: “{sentence}”?",
    past=frozenset({"was", "were"}),
)
_ES = _Wordings(
    definition=re.compile(
        r"^(?P<subject>(?:(?:El|La|Los|Las|Un|Una) )?[\wÁÉÍÓÚÑáéíóúñü’'-]+(?: [\wÁÉÍÓÚÑáéíóúñü’'-]+){0,5}?) "
        r"(?P<verb>es|son|fue|era|fueron|eran) (?=(?:una?|el|la|los|las|unos|unas|uno de|una de) )"
    ),
    articles=frozenset({"el", "la", "los", "las", "un", "una"}),
    no_subject=frozenset(
        "él ella ello ellos ellas esto eso aquello este esta estos estas ese esa esos esas aquel aquella lo que quien "
        "cual donde cuando como así entonces pero y o ni no sí ya también tampoco todo todos cada yo tú usted nosotros "
        "su sus mi mis tu tus nuestro nuestra otro otra tal ahí allí aquí".split()
    ),
    year=re.compile(r"^(?P<lead>(?:En|Hacia|Durante) (?:el año )?(?P<year>1\d{3}|20\d{2})),? (?P<rest>.+)$"),
    what_is="¿Qué se entiende por «{subject}»?",
    what_was="¿Quién o qué fue «{subject}»?",
    heading="¿Qué hay que saber sobre «{heading}»?",
    in_year="¿Qué ocurrió en {year}?",
    number="¿Qué número completa esta frase: «{sentence}»?",
    name="¿Qué nombre completa esta frase: «{sentence}»?",
    past=frozenset({"fue", "fueron", "era", "eran"}),
)
_NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*(?![\w]|[.,]\d)")


def drafts(text: str, language: str | None) -> list[Draft]:
    """Everything that can be asked about `text`, in the order of its sentences; nothing but en and es has rules."""
    wordings = {"en": _EN, "es": _ES}.get(language or "")
    if wordings is None:
        return []
    found: list[Draft] = []
    stretches = sentences(text)
    for place, stretch in enumerate(stretches):
        following = stretches[place + 1] if place + 1 < len(stretches) else None
        if not speaks_of_the_text(stretch.line):
            found.extend(_of(stretch, following, wordings, language))
    return found


def _of(stretch: Stretch, following: Stretch | None, wordings: _Wordings, language: str | None) -> Iterator[Draft]:
    """The drafts of one sentence; of a heading, those of the sentence under it."""
    heading = HEADING.fullmatch(stretch.text)
    if heading:
        if following is not None and _fits(following) and not HEADING.fullmatch(following.text):
            question = wordings.heading.format(heading=heading.group(1))
            yield Draft(following.start, "fact", question, following.line, following.text)
        return
    if not _fits(stretch):
        return
    yield from _definition(stretch, wordings, language)
    yield from _year(stretch, wordings)
    yield from _gaps(stretch, wordings, language)


def _fits(stretch: Stretch) -> bool:
    least, most = SENTENCE_WORDS
    ended = stretch.line[-1] in '.!…”"»)'
    return (
        ended
        and not stretch.line.isupper()
        and least <= len(Words(stretch.line).words) <= most
        and not stretch.line.startswith(("-", "*", "|"))
    )


def _definition(stretch: Stretch, wordings: _Wordings, language: str | None) -> Iterator[Draft]:
    found = wordings.definition.match(stretch.line)
    if found is None:
        return
    article, *rest = Words(found["subject"]).lower_words
    named = rest if article in wordings.articles else [article, *rest]
    if not named or named[0] in function_words(language) or any(word in wordings.no_subject for word in named):
        return
    wording = wordings.what_was if found["verb"] in wordings.past else wordings.what_is
    yield Draft(stretch.start, "definition", wording.format(subject=found["subject"]), stretch.line, stretch.text)


def _year(stretch: Stretch, wordings: _Wordings) -> Iterator[Draft]:
    found = wordings.year.match(stretch.line)
    if found is not None:
        rest = found["rest"][:1].upper() + found["rest"][1:]
        yield Draft(stretch.start, "fact", wordings.in_year.format(year=found["year"]), rest, stretch.text)


def _gaps(stretch: Stretch, wordings: _Wordings, language: str | None) -> Iterator[Draft]:
    """One gap a sentence: its last number, else its last name in full, which must not stand there twice.

    The answer is the sentence as it stands, the gap filled.
    """
    line = stretch.line
    gaps = [(found.group(), wordings.number) for found in _NUMBER.finditer(line)][-1:]
    common = function_words(language)
    named = [name for name in names(line, language) if len(name) > 2 and name.lower() not in common]
    if named:
        gaps.append((_whole_name(line, named), wordings.name))
    for word, wording in gaps:
        places = [found.start() for found in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", line)]
        if len(places) == 1 and line.casefold().count(word.casefold()) == 1:
            gapped = line[: places[0]] + GAP + line[places[0] + len(word) :]
            yield Draft(stretch.start, "cloze", wording.format(sentence=gapped.rstrip(".")), line, stretch.text)
            return


def _whole_name(line: str, named: list[str]) -> str:
    """The last of `named` together with those that stand right before it ("San Juan")."""
    whole = named[-1]
    for before in reversed(named[:-1]):
        if f"{before} {whole}" not in line:
            break
        whole = f"{before} {whole}"
    return whole
