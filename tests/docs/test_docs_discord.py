"""The page on the bot names every command, option, setting and variable, and none that is not there."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from types import SimpleNamespace

import discord

from loquela.bot.commands import Commands
from loquela.bot.serving import NEEDED_SCOPES
from loquela.bot.settings import VARIABLES, BotSettings, load_bot_settings
from loquela.bot.tree import OwnersTree, add_commands
from loquela.cli.bot import KEY_CREDENTIAL, KEY_VARIABLE, TOKEN_CREDENTIAL, TOKEN_VARIABLE

PAGE = (Path(__file__).parents[2] / "docs" / "discord.md").read_text(encoding="utf-8")


async def _commands() -> list[dict]:
    tree = OwnersTree(discord.Client(intents=discord.Intents.none()), frozenset())
    add_commands(tree, Commands(SimpleNamespace(service=None, store=None, embeds=None, settings=None)))
    return [command.to_dict(tree) for command in tree.get_commands()]


def test_every_command_and_option_is_named() -> None:
    made = asyncio.run(_commands())
    (group,) = [one for one in made if one["name"] == "trainer"]
    plain = {one["name"]: one for one in made if one["name"] != "trainer"}
    rows = dict(re.findall(r"^\| `/(\w+)` \| (.*) \|$", PAGE, re.MULTILINE))
    assert set(rows) == set(plain) == {one["name"] for one in group["options"]}
    for name, command in plain.items():
        for option in command["options"]:
            assert option["description"] != "…", (name, option["name"])
            assert option["name"] == "run" or f"`{option['name']}`" in rows[name], (name, option["name"])


def test_every_setting_is_named_with_its_default_and_its_variables() -> None:
    table = PAGE.split("## Settings")[1]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \|$", table, re.MULTILINE)
    assert [row[0] for row in rows] == list(BotSettings.model_fields)
    for name, default, variables, about in rows:
        field = BotSettings.model_fields[name]
        assert default.strip("` ") == ("" if field.default == [] else str(field.default))
        assert set(re.findall(r"`(\w+)`", variables)) == set(VARIABLES.get(name, ()))
        assert about == field.description


def test_the_settings_file_of_the_page_loads(tmp_path: Path) -> None:
    (body,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "bot.toml").write_text(body, encoding="utf-8")
    assert load_bot_settings(tmp_path / "bot.toml", {}).summary_minutes == 10


def test_scopes_and_credentials_of_the_page_are_those_of_the_program() -> None:
    scopes = " ".join(f"--scope {scope}" for scope in NEEDED_SCOPES)
    for named in (scopes, f"set {KEY_CREDENTIAL}", f"set {TOKEN_CREDENTIAL}", KEY_VARIABLE, TOKEN_VARIABLE):
        assert named in PAGE
