"""The bot as a process: from its start until it is told to stop, whatever happens to Discord or the service."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
import discord

from loquela.bot.client import BotClient
from loquela.bot.embeds import Embeds
from loquela.bot.redaction import Redactor
from loquela.bot.settings import BotSettings, require_owners
from loquela.bot.store import Store
from loquela.client.async_client import AsyncClient
from loquela.core.errors import AccessError, ErrorCode, LoquelaError, RecipeError

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 2.0, 120.0
# The service is on the same machine or near; a command is answered within Discord's patience.
SERVICE_TIMEOUT_SECONDS = 20.0
NEEDED_SCOPES = ("read", "run")
WRONG_TOKEN = 4004
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Secrets:
    """The bot's token at Discord and its key of the service."""

    token: str
    api_key: str

    def __repr__(self) -> str:
        return "Secrets()"


@dataclass(frozen=True)
class Connected:
    """The bot is there: its name at Discord, the service it speaks to, for how many owners."""

    name: str
    service: str
    owners: int


def serve(settings: BotSettings, secrets: Secrets, tell: Callable[[Connected], None]) -> None:
    """Work until SIGINT or SIGTERM.

    Raises AccessError(AUTH_FAILED) where Discord refuses the token or the service the key, RecipeError where there is
    no owner, errors of the store. Everything else is waited for and tried again.
    """
    redactor = Redactor([secrets.token, secrets.api_key])
    _log_quietly(redactor)
    asyncio.run(_until_stopped(settings, secrets, tell, redactor))


async def _until_stopped(
    settings: BotSettings, secrets: Secrets, tell: Callable[[Connected], None], redactor: Redactor
) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    working = asyncio.create_task(work(settings, secrets, tell, redactor))
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        working.result()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


async def work(settings: BotSettings, secrets: Secrets, tell: Callable[[Connected], None], redactor: Redactor) -> None:
    """The same until cancelled."""
    owners = require_owners(settings)
    store = Store(settings.data)
    embeds = Embeds(redactor)
    try:
        async with AsyncClient(settings.server, secrets.api_key, timeout_seconds=SERVICE_TIMEOUT_SECONDS) as service:
            await _look_at_key(service)
            told: list[str] = []

            def ready(name: str) -> None:
                if not told:
                    tell(Connected(name, service.url, len(owners)))
                told.append(name)

            pause = FIRST_PAUSE_SECONDS
            while True:
                before = len(told)
                async with BotClient(settings, owners, service, store, embeds, time.time, ready) as client:
                    await _one_login(client, secrets.token)
                pause = FIRST_PAUSE_SECONDS if len(told) > before else min(pause * 2, LONGEST_PAUSE_SECONDS)
                await asyncio.sleep(pause)
    finally:
        store.close()


async def _one_login(client: BotClient, token: str) -> None:
    """Until Discord is lost; what another login may mend is told and left to it."""
    try:
        await client.work(token)
    except discord.LoginFailure as error:
        raise _wrong_token() from error
    except discord.ConnectionClosed as error:
        if error.code == WRONG_TOKEN:
            raise _wrong_token() from error
        _log.warning("Discord closed the connection with code %s; it is opened anew", error.code)
    except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as error:
        _log.warning("Discord cannot be reached (%s); it is tried again", type(error).__name__)
    except AttributeError as error:
        # discord.py 2.7 asks a connection that never stood for its sequence (Client.connect).
        if getattr(client, "ws", None) is not None:
            raise
        _log.warning("Discord's gateway cannot be reached (%s); it is tried again", error.name)


async def _look_at_key(service: AsyncClient) -> None:
    """Refuse a key that cannot do the work; a service that is not there yet is waited for."""
    try:
        key = await service.me()
    except AccessError as error:
        raise AccessError(
            ErrorCode.AUTH_FAILED,
            f"the service at {service.url} refuses the bot's key: {error.message}",
            "make one: loquela keys create bot --scope read --scope run; and set LOQUELA_API_KEY",
        ) from error
    except LoquelaError as error:
        _log.warning("the service does not answer yet: %s", error.message)
        return
    missing = [scope for scope in NEEDED_SCOPES if scope not in key.scopes and "admin" not in key.scopes]
    if missing:
        raise RecipeError(
            ErrorCode.AUTH_FAILED,
            f"the bot's key may not {' and '.join(missing)}",
            "make one: loquela keys create bot --scope read --scope run; and set LOQUELA_API_KEY",
        )
    if "admin" in key.scopes:
        _log.warning("the bot's key may do everything; read and run are enough for it")


def _wrong_token() -> AccessError:
    return AccessError(
        ErrorCode.AUTH_FAILED,
        "Discord does not know the bot's token",
        "copy it anew (discord.com/developers, your application, Bot, Reset Token) and set DISCORD_TOKEN",
    )


class _OneLine(logging.Formatter):
    """A line for each record, without tracebacks and without secrets."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S")
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        said = self._redactor.without_secrets(record.getMessage())
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            said += f": {type(error).__name__} {self._redactor.without_secrets(str(error))}".rstrip()
        return f"{self.formatTime(record, self.datefmt)} {' '.join(said.split())}"


def _log_quietly(redactor: Redactor) -> None:
    """What goes wrong, on stderr; what discord.py tells below a warning may hold tokens of commands."""
    # Voice is not used: that it cannot be is no news.
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine(redactor))
    for name in ("loquela.bot", "discord", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(logging.WARNING)
        logger.propagate = False
    # It warns of the intents that the bot does without.
    logging.getLogger("discord.state").setLevel(logging.ERROR)
