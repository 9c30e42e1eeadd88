"""What the store holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """Something that happened to a run, and when (seconds since 1970, UTC)."""

    at: float
    text: str


@dataclass(frozen=True)
class Card:
    """A run that an owner watches, and the one message that shows it.

    `nonce` names the message before it is sent, so that Discord makes it once only. `heard` counts the news, `shown`
    how many of them the message shows. `rests`: the run does not work, so that there is nothing to renew. `checkpoint`
    is the step of the newest one. `stale_message` was replaced and is still to be deleted.
    """

    owner: int
    run_id: str
    message: int | None = None
    nonce: str | None = None
    made_at: float = 0.0
    shown_at: float = 0.0
    heard: int = 0
    heard_at: float = 0.0
    shown: int = 0
    rests: bool = False
    finished: bool = False
    checkpoint: int | None = None
    stale_message: int | None = None
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True)
class Notice:
    """Something that is sent as a message of its own. `batch` names the message that it goes out with."""

    id: int
    owner: int
    run_id: str
    kind: str
    text: str
    at: float
    batch: str | None = None
