"""From the service's events to the store: what happens to watched runs, in order, none twice, none left out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from loquela.bot.news import news_of
from loquela.bot.store import Store
from loquela.bot.words import whole
from loquela.client.answers import Event, EventPage
from loquela.core.errors import LoquelaError

CHECKPOINT = "checkpoint"
# Events that concern nobody are only counted; so many of them, at most, are heard again after a crash.
NOTE_EVERY = 200
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
_log = logging.getLogger(__name__)


class EventSource(Protocol):
    """The part of `AsyncClient` that is needed here."""

    async def events(self, *, after: int = 0, run_id: str | None = None, limit: int = 100) -> EventPage:
        """Events behind a number."""

    def follow(
        self, run_id: str | None = None, *, after: int = 0, patience_seconds: float = 60.0
    ) -> AsyncIterator[Event]:
        """Events as they happen."""


class Follower:
    """Hears all events over one stream. `told` is called with the owners who have something new to see."""

    def __init__(self, source: EventSource, store: Store, told: Callable[[Sequence[int]], None]) -> None:
        self._source = source
        self._store = store
        self._told = told
        self._heard = 0
        self._noted = 0

    async def run(self) -> None:
        """Until cancelled. A service that is down, or refuses the key, is asked again, more and more seldom."""
        pause, trouble = FIRST_PAUSE_SECONDS, ""
        while True:
            try:
                async for event in self._source.follow(after=await self._position()):
                    self._hear(event)
                    pause, trouble = FIRST_PAUSE_SECONDS, ""
            except LoquelaError as error:
                if error.code != trouble:
                    _log.warning("events cannot be followed, which is tried again: %s", error.message)
                trouble = error.code
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def prepare(self) -> None:
        """To be awaited before a run is watched: what came before is not told, what comes after is."""
        if self._store.position() is None:
            await self._position()
        self._note()

    async def _position(self) -> int:
        """Where to go on; a bot that never heard anything begins with what happens from now on."""
        if self._store.position() is None:
            newest = (await self._source.events(limit=1)).newest
            # Meanwhile somebody else may have asked, and begun earlier.
            if self._store.position() is None:
                self._store.heard_up_to(newest)
        return self._store.position() or 0

    def _note(self) -> None:
        if self._heard > self._noted:
            self._store.heard_up_to(self._heard)
            self._noted = self._heard

    def _hear(self, event: Event) -> None:
        news = news_of(event)
        if news is None or event.run_id is None or not self._store.watched(event.run_id):
            self._heard = event.seq
            if event.seq - self._noted >= NOTE_EVERY:
                self._note()
            return
        step = whole(event.data.get("step")) if news.kind == CHECKPOINT else None
        owners = self._store.heard(event.run_id, event.seq, news, event.at, checkpoint=step)
        self._heard = self._noted = event.seq
        self._told(owners)
