"""`loquela bot`: runs trained and watched from Discord."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.options import json_option
from loquela.core import extras

if TYPE_CHECKING:
    from pydantic import JsonValue

    from loquela.bot.serving import Connected

TOKEN_VARIABLE, TOKEN_CREDENTIAL = "DISCORD_TOKEN", "discord"
KEY_VARIABLE, KEY_CREDENTIAL = "LOQUELA_API_KEY", "loquela-api"


@click.command(
    "bot", epilog="\b\nExample:\n  loquela bot --owner 123456789012345678\n  loquela bot --settings bot.toml"
)
@click.option("--server", metavar="URL", help="The service.  [default: http://127.0.0.1:8040]")
@click.option(
    "--owner",
    "owners",
    type=click.IntRange(min=1),
    multiple=True,
    metavar="ID",
    help="Discord id of somebody whom the bot obeys; may be repeated. All others are refused.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder of the bot's own: what is watched, named recipes.  [default: loquela-bot]",
)
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="TOML file of settings. Environment variables and options win over it.",
)
@json_option
def command(
    server: str | None, owners: tuple[int, ...], data: Path | None, settings_file: Path | None, as_json: bool
) -> None:
    """Train and watch runs from Discord, in direct messages of their owner.

    \b
    Once, to make the bot:
      1. discord.com/developers: New Application; Bot, Reset Token; no intents are needed.
         export DISCORD_TOKEN=…       (or: loquela credentials set discord)
      2. A key of the service that may read and queue runs:
         export LOQUELA_API_KEY=$(loquela keys create bot --scope read --scope run)
                                      (or: loquela credentials set loquela-api)
      3. Your own id: Discord, Settings, Advanced, Developer Mode; right-click your name,
         Copy User ID.  export DISCORD_OWNER_ID=…
      4. Invite it to a server that you are in, without any permission:
         https://discord.com/oauth2/authorize?client_id=APPLICATION_ID&scope=bot+applications.commands
      5. loquela bot, then write /train, /status, /cancel, /runs, /watch or /unwatch to it.
    """
    extras.require("discord", extra="discord", purpose="the Discord bot")
    from loquela.bot.serving import Secrets, serve
    from loquela.bot.settings import load_bot_settings, require_owners

    given: dict[str, JsonValue] = {"server": server, "data": None if data is None else str(data)}
    given["owners"] = [*owners] or None
    chosen = {key: value for key, value in given.items() if value is not None}
    settings = load_bot_settings(settings_file, os.environ, chosen)
    require_owners(settings)
    secrets = Secrets(
        _secret(TOKEN_VARIABLE, TOKEN_CREDENTIAL, "the bot's token at Discord"),
        _secret(KEY_VARIABLE, KEY_CREDENTIAL, "the bot's key of the service"),
    )
    serve(settings, secrets, _tell_json if as_json else _tell)


def _secret(variable: str, credential: str, what: str) -> str:
    """From the environment, else from the credentials; RecipeError(AUTH_FAILED) where neither has it."""
    from loquela.core.errors import ErrorCode, RecipeError
    from loquela.security.credentials import lookup

    given = os.environ.get(variable, "").strip()
    if given:
        return given
    try:
        return lookup.get(credential).secret("token").strip()
    except RecipeError as error:
        raise RecipeError(
            ErrorCode.AUTH_FAILED,
            f"{what} is missing: {error.message}",
            f"set {variable}, or keep it: loquela credentials set {credential} (loquela bot --help says where it is)",
        ) from error


def _tell_json(connected: Connected) -> None:
    click.echo(json.dumps(asdict(connected)))


def _tell(connected: Connected) -> None:
    owners = "1 owner" if connected.owners == 1 else f"{connected.owners} owners"
    click.echo(f"{connected.name} is connected to Discord and to {connected.service}; it obeys {owners}")
    click.echo("  Ctrl+C stops it; what happens meanwhile is told at the next start.")
