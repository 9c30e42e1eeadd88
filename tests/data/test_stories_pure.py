"""A story is a pure function of (seed, index), of the right size, and no two are alike."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

from loquela.data.stories.plotting import shortened
from loquela.data.stories.story import SCHEMAS, Story, draw_plot, stories, story

COUNT = 2000


@lru_cache(maxsize=1)
def many() -> tuple[Story, ...]:
    return tuple(stories(11, COUNT))


def test_a_story_needs_no_earlier_story() -> None:
    in_order = list(stories(7, 30))
    backwards = [story(7, index) for index in reversed(range(30))]
    assert in_order == backwards[::-1]


def test_seeds_and_indexes_make_different_stories() -> None:
    texts = {story(seed, index).english for seed in range(20) for index in range(20)}
    assert len(texts) == 400


def test_five_thousand_stories_are_all_different() -> None:
    drawn = list(stories(23, 5000))
    assert len({one.english for one in drawn}) == 5000
    assert len({one.spanish for one in drawn}) == 5000


def test_every_story_has_80_to_200_words_in_both_languages() -> None:
    for one in many():
        assert 80 <= len(one.english.split()) <= 200, one.english
        assert 80 <= len(one.spanish.split()) <= 200, one.spanish


def test_all_plot_schemas_occur_about_equally_often() -> None:
    schemas = Counter(draw_plot(11, index).schema for index in range(COUNT))
    assert len(schemas) == len(SCHEMAS)
    assert min(schemas.values()) > COUNT / len(SCHEMAS) / 2


def test_words_and_trigrams_are_many() -> None:
    # Measured: 1577 types and 76 081 trigrams in English, 2050 and 78 879 in Spanish; the floors sit a little below.
    floors = {"english": (1500, 70_000), "spanish": (1950, 72_000)}
    for language, (types_floor, trigrams_floor) in floors.items():
        types: set[str] = set()
        trigrams: set[tuple[str, ...]] = set()
        for one in many():
            words = re.findall(r"\w+", (one.english if language == "english" else one.spanish).lower())
            types.update(words)
            trigrams.update(zip(words, words[1:], words[2:], strict=False))
        assert len(types) > types_floor, (language, len(types))
        assert len(trigrams) > trigrams_floor, (language, len(trigrams))


def test_the_same_characters_are_named_in_both_languages() -> None:
    for index, one in enumerate(many()[:800]):
        names = {
            word for entity in draw_plot(11, index).entities.values() for word in [entity.name] if not entity.plural
        }
        names.discard("")
        english = {name for name in names if re.search(rf"\b{name}\b", one.english)}
        spanish = {name for name in names if re.search(rf"\b{name}\b", one.spanish)}
        assert english == spanish, one
        assert english


def test_both_languages_have_the_same_paragraphs_and_the_same_speech() -> None:
    for one in many():
        english, spanish = one.english.split("\n"), one.spanish.split("\n")
        assert len(english) == len(spanish)
        for left, right in zip(english[2:], spanish[2:], strict=True):
            assert left.startswith('"') == right.startswith("—")


def test_a_shortened_plot_keeps_what_the_story_needs() -> None:
    plot = next(plot for plot in (draw_plot(3, index) for index in range(100)) if plot.schema == "trade")
    kept = plot
    while (shorter := shortened(kept, 1)) is not None:
        kept = shorter
    needed = [event for paragraph in plot.paragraphs for event in paragraph if event.weight == 2]
    assert [event for paragraph in kept.paragraphs for event in paragraph] == needed


def test_a_title_heads_each_text() -> None:
    for one in many()[:200]:
        assert one.english.startswith(one.title + "\n\n")
        assert one.spanish.startswith(one.spanish_title + "\n\n")
