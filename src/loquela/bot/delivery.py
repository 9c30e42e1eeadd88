"""From the store to an owner: one card per watched run, changed in place, and a message of its own for what rings.

a card    made at once, silently changed for news (several within `batch_seconds` together) and every
          `summary_minutes` while the run works; replaced when it is so old that Discord limits changes
a notice  a run started, ended, was interrupted: several that come together are one message
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

import discord

from loquela.bot import chart
from loquela.bot.embeds import Embeds, Shown
from loquela.bot.messenger import ClosedToUs, MessageGone, MessageTooOld, Refused, TryLater
from loquela.bot.pace import Pace
from loquela.bot.records import Card, Notice
from loquela.bot.redaction import coded, escaped
from loquela.bot.settings import BotSettings
from loquela.bot.store import Store
from loquela.client.answers import Run, Series
from loquela.core.errors import ErrorCode, LoquelaError

LOOK_EVERY_SECONDS = 1.0
# News that come within a moment (a short run starts and ends) are told together.
GATHER_SECONDS = 1.5
# Discord limits changes of messages that are older than an hour.
RENEW_AFTER_SECONDS = 3300.0
MOST_TOGETHER = 10
CHART_POINTS = 400
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 2.0, 60.0
CLOSED_PAUSE_SECONDS = 300.0
FINISHED = "succeeded"
_log = logging.getLogger(__name__)


class RunSource(Protocol):
    """The part of `AsyncClient` that is needed here."""

    async def run(self, run_id: str) -> Run:
        """One run."""

    async def metrics(self, run_id: str, names: Sequence[str], *, most: int = 1000) -> list[Series]:
        """Metrics by name."""


class Letterbox(Protocol):
    """The part of `Messenger` that is needed here."""

    async def send(
        self, owner: int, embed: discord.Embed, picture: bytes | None, *, nonce: str, silent: bool = False
    ) -> int:
        """A new message."""

    async def edit(self, owner: int, message: int, embed: discord.Embed, picture: bytes | None) -> None:
        """A changed one."""

    async def delete(self, owner: int, message: int) -> None:
        """One less."""


class Delivery:
    """Everything for one owner, in order; owners do not wait for each other."""

    def __init__(
        self,
        owner: int,
        source: RunSource,
        store: Store,
        letterbox: Letterbox,
        embeds: Embeds,
        settings: BotSettings,
        now: Callable[[], float],
    ) -> None:
        self._owner = owner
        self._source = source
        self._store = store
        self._letterbox = letterbox
        self._embeds = embeds
        self._settings = settings
        self._now = now
        self._pace = Pace(settings.messages_per_minute, now)
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There may be something to tell."""
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled; whatever cannot be told now is told later."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            self._woken.clear()
            try:
                await self.deliver()
            except ClosedToUs as error:
                _log.warning("owner %d takes no messages of the bot (%s); it is tried again", self._owner, error)
                await asyncio.sleep(CLOSED_PAUSE_SECONDS)
            except (TryLater, LoquelaError) as error:
                said = error.message if isinstance(error, LoquelaError) else error
                _log.warning("something could not be told yet, which is tried again: %s", said)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            else:
                pause = FIRST_PAUSE_SECONDS
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY_SECONDS):
                        await self._woken.wait()

    async def deliver(self) -> None:
        """Tell everything that is due and allowed now."""
        while (due := self._due_notices()) and self._pace.take():
            await self._send(due)
        for card in self._store.cards(self._owner):
            if self._is_done(card):
                self._store.unwatch(self._owner, card.run_id)
            elif card.stale_message is not None and card.message is not None:
                await self._delete_stale(card, card.stale_message)
            elif self._is_due(card) and self._pace.take():
                await self._show(card)

    def _is_done(self, card: Card) -> bool:
        """Whether a finished run's last word is said; nothing more happens to it."""
        if not card.finished or card.heard > card.shown or card.stale_message is not None:
            return False
        return all(one.run_id != card.run_id for one in self._store.notices(self._owner))

    def _due_notices(self) -> list[Notice]:
        waiting = self._store.notices(self._owner)
        if waiting and waiting[0].batch is not None:
            return [one for one in waiting if one.batch == waiting[0].batch]
        if not waiting or 0 <= self._now() - waiting[0].at < GATHER_SECONDS:
            return []
        return [one for one in waiting if one.batch is None][:MOST_TOGETHER]

    async def _send(self, notices: list[Notice]) -> None:
        shown = await self._notice(notices[0]) if len(notices) == 1 else (self._several(notices), None)
        if shown is None:
            return
        batch = notices[0].batch or self._store.name_batch(notices)
        try:
            await self._letterbox.send(self._owner, *shown, nonce=batch)
        except Refused as error:
            _log.error("Discord refuses the news of %s for good: %s", notices[0].run_id, error)
        self._store.sent(batch)

    async def _notice(self, notice: Notice) -> tuple[discord.Embed, bytes | None] | None:
        run = await self._found(notice.run_id)
        if run is None:
            return None
        picture = await self._picture(run)
        shown = Shown(run, heading=notice.text)
        return self._embeds.run(shown, self._now(), picture=picture is not None), picture

    def _several(self, notices: list[Notice]) -> discord.Embed:
        lines = [f"<t:{round(one.at)}:t> {coded(one.run_id)} {escaped(one.text)}" for one in notices]
        return discord.Embed(title="What happened", description="\n".join(lines)[:4000], colour=0x3498DB)

    def _is_due(self, card: Card) -> bool:
        since_shown = _elapsed(self._now() - card.shown_at)
        if card.message is None:
            return True
        if card.heard > card.shown:
            since_heard = _elapsed(self._now() - card.heard_at)
            return since_heard >= GATHER_SECONDS and since_shown >= self._settings.batch_seconds
        return not card.rests and since_shown >= self._settings.summary_minutes * 60

    async def _show(self, card: Card) -> None:
        run = await self._found(card.run_id)
        if run is None:
            return
        picture = await self._picture(run)
        embed = self._embeds.run(Shown(run, card.lines, card.checkpoint), self._now(), picture=picture is not None)
        if card.message is not None and _elapsed(self._now() - card.made_at) > RENEW_AFTER_SECONDS:
            self._store.card_lost(card, delete=True)
            card = replace(card, message=None, nonce=None)
        try:
            if card.message is None:
                await self._make(card, embed, picture)
            else:
                await self._letterbox.edit(self._owner, card.message, embed, picture)
        except (MessageGone, MessageTooOld) as error:
            self._store.card_lost(card, delete=isinstance(error, MessageTooOld))
            self.wake()
            return
        except Refused as error:
            _log.error("Discord refuses the card of %s for good, it is no longer watched: %s", card.run_id, error)
            self._store.unwatch(self._owner, card.run_id)
            return
        self._store.card_shown(card, self._now(), rests=run.ended, finished=run.state == FINISHED)

    async def _make(self, card: Card, embed: discord.Embed, picture: bytes | None) -> None:
        nonce = self._store.name_message(card)
        # Only the first card makes a sound; its replacements do not.
        message = await self._letterbox.send(self._owner, embed, picture, nonce=nonce, silent=card.shown_at > 0)
        self._store.card_made(card, message, self._now())

    async def _delete_stale(self, card: Card, message: int) -> None:
        if not self._pace.take():
            return
        with suppress(MessageGone):
            await self._letterbox.delete(self._owner, message)
        self._store.stale_deleted(card)

    async def _found(self, run_id: str) -> Run | None:
        """The run; a run that the service no longer has is no longer watched."""
        try:
            return await self._source.run(run_id)
        except LoquelaError as error:
            if error.code != ErrorCode.RUN_NOT_FOUND:
                raise
        self._store.unwatch(self._owner, run_id)
        return None

    async def _picture(self, run: Run) -> bytes | None:
        """The losses, drawn beside the loop; none before there are any."""
        if "loss" not in run.progress:
            return None
        series = await self._source.metrics(run.run_id, chart.LOSSES, most=CHART_POINTS)
        return await chart.drawn(series)


def _elapsed(seconds: float) -> float:
    """Seconds since a written time; a clock that was set back counts as long ago, so that nothing waits for it."""
    return seconds if seconds >= 0 else float("inf")
