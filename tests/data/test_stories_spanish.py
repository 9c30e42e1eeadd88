"""The Spanish of the stories, form by form and then over many texts."""

from __future__ import annotations

import re

import pytest

from loquela.data.stories.cast import ANIMALS, GROWN, HELPER_TRAITS, TRAITS
from loquela.data.stories.conjugation import conjugate, gerund
from loquela.data.stories.draw import pair
from loquela.data.stories.entities import Adjective, Entity, Event, Phrase, Plot
from loquela.data.stories.patterns import opens_sentence_spanish
from loquela.data.stories.spanish import agree, contract, indefinite, introduction, place, tell_spanish
from loquela.data.stories.story import stories
from loquela.data.stories.things import LOOKS, PLACES, TOOLS, TREASURES

TEXTS = [one.spanish for one in stories(5, 1500)]
BODIES = [text.split("\n\n", 1)[1] for text in TEXTS]
ARTICLES = {"el": "ms", "la": "fs", "los": "mp", "las": "fp", "un": "ms", "una": "fs", "unos": "mp", "unas": "fp"}
ARTICLES |= {"del": "ms", "al": "ms", "este": "ms", "esta": "fs", "ese": "ms", "esa": "fs", "esos": "mp", "esas": "fp"}
STRESSED_A = {"arpa", "hacha", "ancla"}


@pytest.mark.parametrize(
    ("adjective", "forms"),
    [
        ("rojo", ["rojo", "roja", "rojos", "rojas"]),
        ("verde", ["verde", "verde", "verdes", "verdes"]),
        ("azul", ["azul", "azul", "azules", "azules"]),
        ("trabajador", ["trabajador", "trabajadora", "trabajadores", "trabajadoras"]),
        ("marrón", ["marrón", "marrón", "marrones", "marrones"]),
        ("feliz", ["feliz", "feliz", "felices", "felices"]),
        ("gris", ["gris", "gris", "grises", "grises"]),
    ],
)
def test_adjectives_agree(adjective: str, forms: list[str]) -> None:
    word = Adjective(adjective, adjective)
    assert [agree(word, gender, plural) for plural in (False, True) for gender in "mf"] == forms


def test_an_invariant_phrase_agrees_with_nothing() -> None:
    assert agree(Adjective("wooden", "de madera", invariant=True), "f", True) == "de madera"


@pytest.mark.parametrize(
    ("verb", "tense", "plural", "expected"),
    [
        ("faltar", "imp", True, "faltaban"),
        ("romper", "pret", False, "rompió"),
        ("caer", "pret", True, "cayeron"),
        ("ser", "imp", True, "eran"),
        ("tener", "imp", False, "tenía"),
        ("poder", "pres", True, "pueden"),
        ("encontrar", "pres", False, "encuentra"),
        ("estar", "pres", True, "están"),
    ],
)
def test_verbs(verb: str, tense: str, plural: bool, expected: str) -> None:
    assert conjugate(verb, tense, plural=plural) == expected


def test_gerunds() -> None:
    assert [gerund(verb) for verb in ("cantar", "leer", "escribir", "tejer")] == [
        "cantando",
        "leyendo",
        "escribiendo",
        "tejiendo",
    ]


def test_contractions_and_stressed_a() -> None:
    assert contract("de", "el río") == "del río"
    assert contract("a", "el abuelo Raúl") == "al abuelo Raúl"
    assert contract("de", "la casa") == "de la casa"
    assert contract("a", "Elena") == "a Elena"
    harp = Entity("harp", "arpa", "f", stressed_a=True, adjective=Adjective("red", "rojo"))
    assert indefinite(harp) == "un arpa roja"


def test_places_contract_inside_their_preposition() -> None:
    assert place(Entity("river", "río", "m", at=("by", "junto a"))) == "junto al río"
    assert place(Entity("fountain", "fuente", "f", at=("by", "junto a"))) == "junto a la fuente"
    assert place(Entity("lake", "lago", "m", at=("by", "cerca de"))) == "cerca del lago"
    assert place(Entity("forest", "bosque", "m")) == "en el bosque"


def _girl(name: str) -> Entity:
    return Entity("girl", "niña", "f", name=name, adjective=Adjective("shy", "tímido"), person=True)


def test_introduction_and_pairs() -> None:
    ana, ines = _girl("Ana"), _girl("Inés")
    leo = Entity("boy", "niño", "m", name="Leo", person=True)
    assert introduction(ana) == "una niña tímida llamada Ana"
    assert (pair(ana, ines).spanish, pair(ana, ines).gender) == ("Ana e Inés", "f")
    assert (pair(ana, leo).spanish, pair(ana, leo).gender) == ("Ana y Leo", "m")


def _tell(*patterns: str, **entities: Entity) -> str:
    events = tuple(Event("x", Phrase("", pattern)) for pattern in patterns)
    return tell_spanish(Plot("x", Event("title", Phrase("", "x")), (events,), entities))[1]


def test_a_known_subject_is_left_out_and_passes_its_capital_on() -> None:
    assert _tell("{hero*} llegó.", "{hero} durmió.", hero=_girl("Ana")) == "Ana llegó. Durmió."


def test_a_subject_with_a_rival_is_named() -> None:
    told = _tell("{hero*} vio {al friend}.", "{hero} durmió.", hero=_girl("Ana"), friend=_girl("Eva"))
    assert told == "Ana vio a Eva. Ana durmió."


def test_y_gives_way_before_i() -> None:
    told = _tell("Llovía y {hero*} reía.", "Llovía y {friend*} lloraba.", hero=_girl("Irene"), friend=_girl("Ana"))
    assert told == "Llovía e Irene reía. Llovía y Ana lloraba."


def test_a_raya_after_a_question_opens_a_sentence_only_for_what_follows_it() -> None:
    assert opens_sentence_spanish("—¿")
    assert opens_sentence_spanish("Llovía. ")
    assert not opens_sentence_spanish("—Sí —dijo ")


def _nouns() -> dict[str, str]:
    nouns: dict[str, str] = {}
    for entity in (*TREASURES, *TOOLS.values(), *PLACES):
        nouns[entity.spanish] = entity.gender + ("p" if entity.plural else "s")
    for kind in (*ANIMALS, *GROWN):
        if kind.masculine and kind.masculine != kind.feminine:
            nouns[kind.masculine] = "ms"
        if kind.feminine and kind.masculine != kind.feminine:
            nouns[kind.feminine] = "fs"
    return nouns | {"niño": "ms", "niña": "fs"}


def _form(adjective: Adjective, features: str) -> str:
    return agree(adjective, features[0], features[1] == "p")


def test_articles_agree_with_every_noun_of_the_lexicon() -> None:
    nouns = _nouns()
    words = "|".join(sorted(map(re.escape, nouns), key=len, reverse=True))
    seen: set[str] = set()
    for text in TEXTS:
        for found, noun in re.findall(rf"\b({'|'.join(ARTICLES)}) ({words})\b(?! de viento)", text, re.IGNORECASE):
            seen.add(noun)
            expected = "ms" if noun in STRESSED_A and found.lower() in ("el", "un", "del", "al") else nouns[noun]
            assert ARTICLES[found.lower()] == expected, (found, noun)
    assert len(seen) > 0.9 * len(nouns), set(nouns) - seen


def test_adjectives_agree_with_every_noun_of_the_lexicon() -> None:
    nouns = _nouns()
    known = (*LOOKS, *TRAITS.values(), *HELPER_TRAITS)
    forms = {agree(adjective, gender, plural) for adjective in known for gender in "mf" for plural in (False, True)}
    right = {features: {_form(adjective, features) for adjective in known} for features in ("ms", "fs", "mp", "fp")}
    words = "|".join(sorted(map(re.escape, nouns), key=len, reverse=True))
    count = 0
    for text in TEXTS:
        for noun, adjective in re.findall(rf"\b({words}) (\w+)\b", text):
            if adjective in forms:
                count += 1
                assert adjective in right[nouns[noun]], (noun, adjective)
    assert count > 3000


def test_named_characters_agree_with_their_participle() -> None:
    articles, seen = {"un": "o", "una": "a"}, set()
    for text in BODIES:
        for found, ending in re.findall(r"\b(una?) [\wáéíóúñ]+ [\wáéíóúñ]+ llamad(\w+) [A-ZÁÉÍÓÚ]", text):
            assert articles[found] == ending, text
            seen.add(found)
    assert seen == set(articles)


def test_a_feeling_agrees_with_whom_it_is_said_of() -> None:
    event = Event("x", Phrase("", "{hero*} y {both*}: {adj low hero}, {adj low both}; sol{o hero}, sol{o both}."))
    ana, eva = _girl("Ana"), _girl("Eva")
    plot = Plot(
        "x",
        event,
        ((event,),),
        entities={"hero": ana, "both": pair(ana, eva)},
        adjectives={"low": Adjective("worried", "preocupado")},
    )
    assert tell_spanish(plot)[1] == "Ana y Ana y Eva: preocupada, preocupadas; sola, solas."


def test_contractions_are_made_everywhere() -> None:
    for text in TEXTS:
        assert not re.search(r"\b(de|a) el ", text), text
        assert not re.search(r"\by [IÍ]", text), text


def test_no_slot_is_left_and_spaces_are_single() -> None:
    for text in TEXTS:
        assert not re.search(r"[{}=*]|  | [,.;:!?]|\n |[¿¡] ", text), text
        assert not re.search(r"\b([^\W\d]+) \1\b", text), text
        assert not re.search(r"\b(and|the|with|said)\b", text), text


def test_question_and_exclamation_marks_are_paired() -> None:
    for text in TEXTS:
        for paragraph in text.split("\n"):
            assert paragraph.count("¿") == paragraph.count("?"), paragraph
            assert paragraph.count("¡") == paragraph.count("!"), paragraph


def test_speech_is_set_with_rayas() -> None:
    for text in BODIES:
        assert '"' not in text
        assert " - " not in text
        for paragraph in text.split("\n"):
            if "—" not in paragraph:
                continue
            # One raya opens the speech; the comment takes one before it, and one after it if speech goes on.
            assert re.match(r"—[¿¡A-ZÁÉÍÓÚÑ]", paragraph), paragraph
            assert 2 <= paragraph.count("—") <= 3, paragraph
            assert re.search(r"[\w.!?,] —[a-zá]", paragraph), paragraph
            assert not re.search(r"[^\w]— | — ", paragraph), paragraph


def test_sentences_begin_with_a_capital_and_end_with_a_mark() -> None:
    for text in BODIES:
        for paragraph in text.split("\n"):
            assert paragraph[-1] in ".!?", paragraph
            assert paragraph.lstrip("—¿¡")[0].isupper(), paragraph
            assert not re.search(r"\. [¿¡]?[a-záéíóúñ]", paragraph), paragraph


def test_titles_follow_spanish_capitals() -> None:
    names = re.compile(r"^[¿¡]?[A-ZÁÉÍÓÚ]")
    for text in TEXTS:
        title = text.split("\n", 1)[0]
        assert names.match(title), title
        assert not re.search(r" (El|La|De|Del|Y|Un|Una|Perdid\w+)\b", title), title
