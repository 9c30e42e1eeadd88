"""The connection to Discord: what it asks for, what it does when it stands."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import discord

from loquela.bot.commands import Commands, Helpers
from loquela.bot.delivery import Delivery
from loquela.bot.embeds import Embeds
from loquela.bot.follower import Follower
from loquela.bot.messenger import ClosedToUs, Messenger, TryLater
from loquela.bot.settings import BotSettings
from loquela.bot.store import Store
from loquela.bot.tree import OwnersTree, add_commands
from loquela.client.async_client import AsyncClient

REIDENTIFY_SECONDS = 5.0
# Discord wants a heartbeat every 41 seconds; whoever is silent for longer is gone.
HEARTBEAT_TIMEOUT_SECONDS = 60.0
CANCEL_AGAIN_SECONDS = 0.5
_log = logging.getLogger(__name__)


class BotClient(discord.Client):
    """One login. It needs no intents: commands and direct messages of its own come without any.

    `ready` is called with the bot's name when Discord first says that all is there.
    """

    def __init__(
        self,
        settings: BotSettings,
        owners: Sequence[int],
        service: AsyncClient,
        store: Store,
        embeds: Embeds,
        now: Callable[[], float],
        ready: Callable[[str], None],
    ) -> None:
        super().__init__(
            intents=discord.Intents.none(),
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
            # Servers are of no interest, so none is waited for.
            guild_ready_timeout=0.0,
            heartbeat_timeout=HEARTBEAT_TIMEOUT_SECONDS,
        )
        self._owners = owners
        self._told_ready = ready
        self._messenger = Messenger(self)
        self._deliveries = {
            owner: Delivery(owner, service, store, self._messenger, embeds, settings, now) for owner in owners
        }
        self._follower = Follower(service, store, self._wake)
        self._tree = OwnersTree(self, frozenset(owners))
        helpers = Helpers(service, store, embeds, settings, self._follower.prepare, lambda owner: self._wake([owner]))
        add_commands(self._tree, Commands(helpers))

    async def work(self, token: str) -> None:
        """Log in, make the commands known, and tell and answer until the connection ends for good.

        Raises what discord.py raises, and what a part of the work raises that was not foreseen.
        """
        await self.login(token)
        await self._tree.sync()
        works = [self._follower.run(), self.connect(), *(one.run() for one in self._deliveries.values())]
        running = [asyncio.create_task(work) for work in works]
        try:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await _end(running)

    async def on_ready(self) -> None:
        """Look whether the owners can be written to; it may come again after a lost session."""
        self._told_ready(str(self.user))
        for owner in self._owners:
            try:
                await self._messenger.open(owner)
            except ClosedToUs as error:
                _log.warning(
                    "owner %d cannot be written to (%s): share a server with the bot, and allow messages from it",
                    owner,
                    error,
                )
            except TryLater as error:
                _log.warning("owner %d could not be reached yet (%s)", owner, error)
        self._wake(self._owners)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Discord wants a pause before a session is begun anew."""
        if not initial:
            await asyncio.sleep(REIDENTIFY_SECONDS)

    def _wake(self, owners: Sequence[int]) -> None:
        for owner in owners:
            delivery = self._deliveries.get(owner)
            if delivery is not None:
                delivery.wake()


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel them until they are gone: `asyncio.wait_for` of Python 3.11 may swallow a cancellation."""
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_SECONDS)
