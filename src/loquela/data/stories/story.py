"""The public face: story `index` of `seed`, in English and in Spanish, from nothing but these two numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from loquela.data.stories.draw import Draw
from loquela.data.stories.english import tell_english
from loquela.data.stories.entities import Plot
from loquela.data.stories.plots import (
    contest,
    friendship,
    garden,
    journey,
    kindness,
    lesson,
    neighbor,
    search,
    secret,
    storm,
    trade,
)
from loquela.data.stories.plotting import shortened
from loquela.data.stories.spanish import tell_spanish

SCHEMAS: tuple[Callable[[Draw], Plot], ...] = (
    search.plot,
    journey.plot,
    kindness.plot,
    lesson.plot,
    trade.plot,
    friendship.plot,
    storm.plot,
    neighbor.plot,
    contest.plot,
    secret.plot,
    garden.plot,
)


# Longer stories lose their flourishes, one by one.
MOST_WORDS = 200


@dataclass(frozen=True, slots=True)
class Story:
    """One story twice: each text is its title, an empty line, and one line per paragraph."""

    title: str
    spanish_title: str
    english: str
    spanish: str


def draw_plot(seed: int, index: int) -> Plot:
    """The language-neutral plot of story `index` of `seed`."""
    draw = Draw(seed, index)
    return draw.one(SCHEMAS)(draw)


def _tell(plot: Plot) -> Story:
    title, body = tell_english(plot)
    spanish_title, spanish_body = tell_spanish(plot)
    return Story(title, spanish_title, f"{title}\n\n{body}", f"{spanish_title}\n\n{spanish_body}")


def story(seed: int, index: int) -> Story:
    """Story `index` of `seed`; a pure function, so no earlier story is ever needed."""
    plot: Plot | None = draw_plot(seed, index)
    while plot is not None:
        told = _tell(plot)
        excess = max(len(told.english.split()), len(told.spanish.split())) - MOST_WORDS
        plot = shortened(plot, excess) if excess > 0 else None
    return told


def stories(seed: int, count: int) -> Iterator[Story]:
    """Stories 0 to `count` - 1 of `seed`."""
    return (story(seed, index) for index in range(count))
