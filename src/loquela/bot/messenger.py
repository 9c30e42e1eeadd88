"""Direct messages: sent, changed, deleted; what Discord refuses becomes one of five things to do."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import discord

from loquela.bot.embeds import PICTURE

UNKNOWN_MESSAGE, TOO_OLD_TO_EDIT = 10008, 30046
# Unknown channel, missing access, cannot send to this user, no server in common.
CLOSED = (10003, 50001, 50007, 50278)


class MessengerError(Exception):
    """Base of what can come of writing to somebody."""


class MessageGone(MessengerError):
    """The message was deleted."""


class MessageTooOld(MessengerError):
    """Discord lets an old message be changed only so often."""


class ClosedToUs(MessengerError):
    """The person takes no messages of the bot, or shares no place with it."""


class Refused(MessengerError):
    """Discord will never take it; sending it again would keep everything else from being sent."""


class TryLater(MessengerError):
    """Discord cannot be reached, is broken, or says that it is too much."""


class Messenger:
    """Writes to people by their id. Rate limits, with Discord's own waiting times, are discord.py's work."""

    def __init__(self, client: discord.Client) -> None:
        self._client = client
        self._channels: dict[int, discord.DMChannel] = {}

    async def send(
        self, owner: int, embed: discord.Embed, picture: bytes | None, *, nonce: str, silent: bool = False
    ) -> int:
        """A new message, made once however often it is sent under one nonce; its id."""
        with _told_apart():
            channel = await self._channel(owner)
            if picture is None:
                return (await channel.send(embed=embed, nonce=nonce, silent=silent)).id
            return (await channel.send(embed=embed, file=picture_file(picture), nonce=nonce, silent=silent)).id

    async def edit(self, owner: int, message: int, embed: discord.Embed, picture: bytes | None) -> None:
        """Let a message show something else, and make no sound."""
        with _told_apart():
            found = (await self._channel(owner)).get_partial_message(message)
            files = [] if picture is None else [picture_file(picture)]
            # What the client allows is not asked when a message is changed.
            await found.edit(embed=embed, attachments=files, allowed_mentions=discord.AllowedMentions.none())

    async def delete(self, owner: int, message: int) -> None:
        """Take a message away; MessageGone when it is already."""
        with _told_apart():
            await (await self._channel(owner)).get_partial_message(message).delete()

    async def open(self, owner: int) -> None:
        """Make sure that the person can be written to, as far as Discord says so beforehand."""
        with _told_apart():
            await self._channel(owner)

    async def _channel(self, owner: int) -> discord.DMChannel:
        if owner not in self._channels:
            self._channels[owner] = await self._client.create_dm(discord.Object(owner))
        return self._channels[owner]


def picture_file(picture: bytes) -> discord.File:
    """A picture as an attachment."""
    return discord.File(io.BytesIO(picture), filename=PICTURE)


@contextmanager
def _told_apart() -> Iterator[None]:
    try:
        yield
    except discord.HTTPException as error:
        if error.code == UNKNOWN_MESSAGE:
            raise MessageGone(str(error.code)) from error
        if error.code == TOO_OLD_TO_EDIT:
            raise MessageTooOld(str(error.code)) from error
        if error.code in CLOSED or error.status == 403:
            raise ClosedToUs(f"HTTP {error.status}, code {error.code}") from error
        later = error.status >= 500 or error.status in (401, 408, 429)
        raise (TryLater if later else Refused)(f"HTTP {error.status}, code {error.code}") from error
    except (TimeoutError, aiohttp.ClientError, OSError, discord.RateLimited) as error:
        raise TryLater(type(error).__name__) from error
