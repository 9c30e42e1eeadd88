"""From an outline to a plot.

An outline is a few lines, one per paragraph; each word is a kind of event. `kind?` happens half the time,
`one/other` is a choice. Speech opens a paragraph of its own wherever it comes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from loquela.data.stories.draw import Draw
from loquela.data.stories.entities import Action, Adjective, Entity, Event, Phrase, Plot

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


def _kinds(line: str, draw: Draw) -> list[str]:
    kinds: list[str] = []
    for word in line.split():
        choice = draw.one(word.removesuffix("?").split("/"))
        if not word.endswith("?") or draw.chance(0.5):
            kinds.append(choice)
    return kinds


def _paragraphs(lines: Sequence[str], tables: Sequence[Wordings], draw: Draw) -> tuple[tuple[Event, ...], ...]:
    paragraphs: list[tuple[Event, ...]] = []
    for line in lines:
        open_paragraph: list[Event] = []
        for kind in _kinds(line, draw):
            phrases = next(table[kind] for table in tables if kind in table)
            event = Event(kind, draw.one(phrases))
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
