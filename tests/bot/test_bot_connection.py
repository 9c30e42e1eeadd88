"""Discord goes away, forgets, limits and refuses: the bot comes back, or says why it does not."""

from __future__ import annotations

import asyncio
import logging
from unittest import mock

import discord
import pytest
from discord import app_commands

from discord_server import OWNER, TOKEN
from loquela.bot.tree import OwnersTree
from loquela.core.errors import AccessError, ErrorCode, RecipeError
from loquela.service.keys import Scope


def _answers(fake):
    return "Runs, newest first" in fake.ask("runs").answer()["embeds"][0]["title"]


@pytest.mark.parametrize("code", [1000, 4000, 4009])
def test_a_closed_connection_is_resumed_and_nothing_of_it_is_lost(bot, fake, code):
    fake.do(fake.gateway.close(code))
    missed = fake.ask("runs")
    assert missed.answer()["embeds"]
    assert fake.gateway.log.count("identify") == 1
    assert "resume" in fake.gateway.log
    assert _answers(fake)


def test_a_connection_that_breaks_is_resumed(bot, fake):
    fake.do(fake.gateway.drop())
    fake.until(lambda: "resume" in fake.gateway.log)
    assert _answers(fake)


def test_discord_may_ask_for_another_connection(bot, fake):
    fake.do(fake.gateway.ask_to_reconnect())
    fake.until(lambda: "resume" in fake.gateway.log)
    assert _answers(fake)


def test_a_session_that_is_over_is_begun_anew(bot, fake):
    fake.do(fake.gateway.invalidate())
    fake.until(lambda: fake.gateway.log.count("identify") == 2)
    assert _answers(fake)
    assert len(bot.connected) == 1


def test_a_session_that_was_forgotten_meanwhile_is_begun_anew(bot, fake):
    for session in fake.gateway.sessions:
        session.valid = False
    fake.do(fake.gateway.close(4000))
    fake.until(lambda: "resume refused" in fake.gateway.log)
    fake.until(lambda: fake.gateway.log.count("identify") == 2)
    assert _answers(fake)


def test_heartbeats_that_are_not_answered_end_the_connection(fake, start_bot, monkeypatch):
    monkeypatch.setattr("loquela.bot.client.HEARTBEAT_TIMEOUT_SECONDS", 0.5)
    fake.gateway.heartbeat_seconds = 0.1
    start_bot()
    fake.gateway.acks = False
    fake.until(lambda: "resume" in fake.gateway.log)
    fake.gateway.acks = True
    assert _answers(fake)
    assert "closed 4000" in fake.gateway.log


def test_a_gateway_that_is_down_is_tried_again(fake, start_bot):
    fake.gateway.open = False
    bot = start_bot(wait=False)
    fake.until(lambda: fake.gateway.log.count("turned away") >= 2)
    fake.gateway.open = True
    fake.until(lambda: bot.connected)
    assert _answers(fake)


def test_a_discord_that_is_broken_at_login_is_tried_again(fake, start_bot, caplog):
    fake.fail("GET", "/users/@me", 503, times=2)
    bot = start_bot(wait=False)
    fake.until(lambda: bot.connected)
    assert "it is tried again" in caplog.text


def test_a_limit_at_the_making_of_commands_is_waited_for(fake, start_bot):
    fake.too_many("PUT", r"/applications/\d+/commands", 0.3)
    start_bot()
    assert len(fake.commands) == 7


def test_a_wrong_token_is_refused_with_what_to_do(fake, start_bot):
    bot = start_bot(wait=False, token=TOKEN + "x")
    fake.until(lambda: bot.error)
    assert isinstance(bot.error, AccessError)
    assert bot.error.code is ErrorCode.AUTH_FAILED
    assert "does not know the bot's token" in bot.error.message
    assert TOKEN not in str(bot.error)


def test_a_token_that_was_revoked_while_the_bot_works_ends_it(bot, fake):
    fake.do(fake.gateway.close(4004))
    fake.until(lambda: bot.error)
    assert bot.error.code is ErrorCode.AUTH_FAILED


def test_a_key_that_the_service_refuses(fake, start_bot):
    bot = start_bot(wait=False, key="lq_wrong")
    fake.until(lambda: bot.error)
    assert isinstance(bot.error, AccessError)
    assert "refuses the bot's key" in bot.error.message
    assert "loquela keys create bot" in bot.error.remedy
    assert fake.requests == []


def test_a_key_that_may_only_read_is_refused(fake, service, start_bot):
    bot = start_bot(wait=False, key=service.parts.keys.create("r", [Scope.READ])[0].text)
    fake.until(lambda: bot.error)
    assert isinstance(bot.error, RecipeError)
    assert "may not run" in bot.error.message


def test_a_key_that_may_do_everything_is_remarked_on(fake, service, start_bot, caplog):
    start_bot(key=service.parts.keys.create("a", [Scope.ADMIN])[0].text)
    assert "may do everything" in caplog.text


def test_a_key_that_is_revoked_later_is_said_and_the_bot_goes_on(start_bot, fake, service):
    key, record = service.parts.keys.create("soon gone", [Scope.READ, Scope.RUN])
    bot = start_bot(key=key.text)
    service.parts.keys.revoke(record.id)
    (embed,) = fake.ask("runs").answer()["embeds"]
    assert embed["footer"]["text"] == "UNAUTHORIZED"
    assert bot.thread.is_alive()


def test_a_service_that_is_not_there_yet_is_waited_for(fake, service, start_bot, caplog):
    service.stop()
    start_bot()
    assert "the service does not answer yet" in caplog.text
    service.start()
    assert _answers(fake)


def test_without_an_owner_there_is_no_bot(fake, start_bot):
    bot = start_bot(wait=False, owners=[])
    fake.until(lambda: bot.error)
    assert "no owner" in bot.error.message


def test_a_second_bot_on_the_same_folder_is_refused(bot, fake, start_bot):
    second = start_bot(wait=False)
    fake.until(lambda: second.error)
    assert second.error.code is ErrorCode.RUN_LOCKED
    assert "two would tell everything twice" in second.error.message


def test_an_owner_who_cannot_be_written_to_is_told_on_the_console(fake, start_bot, caplog):
    fake.fail("POST", "/users/@me/channels", 403, {"code": 50278, "message": "no mutual guilds"})
    start_bot()
    fake.until(lambda: f"owner {OWNER} cannot be written to" in caplog.text)


def test_a_command_that_the_end_cuts_off_is_no_failure(caplog):
    async def cut_off() -> None:
        async with discord.Client(intents=discord.Intents.none()) as client:
            tree = OwnersTree(client, frozenset({OWNER}))
        await tree.on_error(mock.Mock(), app_commands.AppCommandError("Server disconnected"))

    with caplog.at_level(logging.INFO, logger="loquela.bot"):
        asyncio.run(cut_off())
    assert "cut off by the end of the bot: Server disconnected" in caplog.text
    assert "a command failed" not in caplog.text
