"""Where parts lie in their text, and where white space is left out of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from loquela.core.errors import ErrorCode, InternalError


@dataclass(frozen=True)
class Chunk:
    """Characters [start, end) of a text."""

    text: str
    start: int
    end: int


def placed(text: str, parts: Iterable[str]) -> Iterator[Chunk]:
    """The parts with their places; InternalError(INTERNAL) for a part that is not what follows in the text."""
    at = 0
    for part in parts:
        if not text.startswith(part, at):
            raise _differs(at)
        yield Chunk(part, at, at + len(part))
        at += len(part)
    if at != len(text):
        raise _differs(at)


def trimmed(text: str, start: int, end: int) -> Chunk | None:
    """Characters [start, end) of `text` without white space around them; None where there is nothing else."""
    inside = text[start:end]
    begin = start + len(inside) - len(inside.lstrip())
    inside = inside.strip()
    return Chunk(inside, begin, begin + len(inside)) if inside else None


def _differs(at: int) -> InternalError:
    return InternalError(
        ErrorCode.INTERNAL,
        f"the parts of a text do not join to it again: they differ from character {at}",
        "report this as a bug, with the text and data.splitter",
        details={"character": at},
    )
