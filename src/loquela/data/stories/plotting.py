"""From an outline to a plot.

An outline is a few lines, one per paragraph; each word is a kind of event. `kind?` happens half the time,
`kind~` always but for a story that grows too long, `one/other` is a choice.
Speech opens a paragraph of its own wherever it comes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from loquela.data.stories.draw import Draw
from loquela.data.stories.entities import Action, Adjective, Entity, Event, Phrase, Plot

WEIGHTS = {"?": 0, "~": 1}

Wordings = Mapping[str, Sequence[Phrase]]


def wordings(*pairs: tuple[str, str]) -> tuple[Phrase, ...]:
    """English and Spanish side by side."""
    return tuple(Phrase(*pair) for pair in pairs)


@dataclass(slots=True)
class Roles:
    """Who, what, how and with which set phrases a plot is played."""

    entities: dict[str, Entity]
    adjectives: dict[str, Adjective] = field(default_factory=dict)
    actions: dict[str, Action] = field(default_factory=dict)
    phrases: dict[str, Phrase] = field(default_factory=dict)


def _kinds(line: str, draw: Draw) -> list[tuple[str, int]]:
    kinds: list[tuple[str, int]] = []
    for word in line.split():
        choice = draw.one(word.rstrip("?~").split("/"))
        weight = WEIGHTS.get(word[-1], 2)
        if weight or draw.chance(0.5):
            kinds.append((choice, weight))
    return kinds


def _paragraphs(lines: Sequence[str], tables: Sequence[Wordings], draw: Draw) -> tuple[tuple[Event, ...], ...]:
    paragraphs: list[tuple[Event, ...]] = []
    for line in lines:
        open_paragraph: list[Event] = []
        for kind, weight in _kinds(line, draw):
            phrases = next(table[kind] for table in tables if kind in table)
            event = Event(kind, draw.one(phrases), weight)
            if event.is_speech:
                paragraphs += [tuple(open_paragraph)] if open_paragraph else []
                paragraphs.append((event,))
                open_paragraph = []
            else:
                open_paragraph.append(event)
        paragraphs += [tuple(open_paragraph)] if open_paragraph else []
    return tuple(paragraphs)


def build_plot(schema: str, outline: str, tables: Sequence[Wordings], roles: Roles, draw: Draw) -> Plot:
    """The plot of `outline`, worded from the first of `tables` that knows each kind; the title is kind `title`."""
    title = draw.one(next(table["title"] for table in tables if "title" in table))
    lines = [line for line in outline.strip().splitlines() if line.strip()]
    return Plot(
        schema=schema,
        title=Event("title", title),
        paragraphs=_paragraphs(lines, tables, draw),
        entities=roles.entities,
        adjectives=roles.adjectives,
        actions=roles.actions,
        phrases=roles.phrases,
    )


def shortened(plot: Plot, words: int) -> Plot | None:
    """`plot` without about `words` words of its least needed events; None if the story needs all that is left."""
    events = [event for paragraph in plot.paragraphs for event in paragraph]
    dropped: set[Event] = set()
    for event in sorted(events, key=lambda event: event.weight):
        if event.weight == 2 or words <= 0:
            break
        dropped.add(event)
        words -= event.phrase.english.count(" ") + 2
    if not dropped:
        return None
    kept = (tuple(event for event in paragraph if event not in dropped) for paragraph in plot.paragraphs)
    return replace(plot, paragraphs=tuple(paragraph for paragraph in kept if paragraph))
