"""The door: owners in direct messages come in, everybody else is turned away and learns nothing."""

from __future__ import annotations

import logging

import aiohttp
import discord
from discord import app_commands

from loquela.bot.commands import Asked, Commands

NOT_YOU = "I work for somebody else. Sorry."
NOT_HERE = "I answer in direct messages only."
UNKNOWN = "I do not know that command any more. Reload Discord, and it will offer the ones that I know."
BROKEN = "That went wrong inside the bot; its log has the details."
_log = logging.getLogger(__name__)


class OwnersTree(app_commands.CommandTree[discord.Client]):
    """All commands; `owners` are Discord's ids of those who may use them."""

    def __init__(self, client: discord.Client, owners: frozenset[int]) -> None:
        super().__init__(
            client,
            allowed_contexts=app_commands.AppCommandContext(guild=False, dm_channel=True, private_channel=False),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=True),
        )
        self._owners = owners

    async def interaction_check(self, interaction: Asked, /) -> bool:
        """Whether it comes from an owner, in a direct message; else a polite word, seen by them alone."""
        if interaction.user.id in self._owners and interaction.guild_id is None:
            return True
        if interaction.type is discord.InteractionType.autocomplete:
            await interaction.response.autocomplete([])
        else:
            refusal = NOT_HERE if interaction.user.id in self._owners else NOT_YOU
            await interaction.response.send_message(refusal, ephemeral=True)
        return False

    async def on_error(self, interaction: Asked, error: app_commands.AppCommandError, /) -> None:
        """A word to the owner instead of silence; what went wrong inside is in the log.

        A command that the bot's own end cuts off has not failed, and there is nobody left to say so.
        """
        if self.client.is_closed():
            _log.info("a command was cut off by the end of the bot: %s", error)
            return
        unknown = isinstance(error, app_commands.CommandNotFound | app_commands.CommandSignatureMismatch)
        if not unknown:
            _log.error("a command failed: %s", error)
        if interaction.type is discord.InteractionType.autocomplete:
            return
        try:
            if interaction.response.is_done():
                await interaction.followup.send(UNKNOWN if unknown else BROKEN, ephemeral=True)
            else:
                await interaction.response.send_message(UNKNOWN if unknown else BROKEN, ephemeral=True)
        except (discord.HTTPException, aiohttp.ClientError, OSError) as gone:
            _log.warning("nor could that be said: %s", type(gone).__name__)


def add_commands(tree: OwnersTree, commands: Commands) -> None:
    """Every command twice: as /status and as /trainer status."""
    _add(tree, commands)
    group = app_commands.Group(name="trainer", description="Train and watch runs")
    _add(group, commands)
    tree.add_command(group)


def _add(place: OwnersTree | app_commands.Group, commands: Commands) -> None:
    make, add = app_commands.Command, place.add_command
    about = "Queue a run and watch it: attach a recipe, name one, or name a corpus"
    add(make(name="train", description=about, callback=commands.train))
    about = "Show a run: state, losses, progress, chart"
    add(make(name="status", description=about, callback=commands.status))
    about = "Stop a run; it saves first and can be resumed"
    add(make(name="cancel", description=about, callback=commands.cancel))
    add(make(name="runs", description="List the newest runs", callback=commands.runs))
    add(make(name="watch", description="Be told what happens to a run", callback=commands.watch))
    add(make(name="unwatch", description="Be told no more of a run", callback=commands.unwatch))
    offers = {
        ("train", "named"): commands.named_recipes,
        ("status", "run"): commands.known_runs,
        ("cancel", "run"): commands.known_runs,
        ("watch", "run"): commands.known_runs,
        ("unwatch", "run"): commands.watched_runs,
    }
    for (name, parameter), offer in offers.items():
        command = place.get_command(name)
        if isinstance(command, app_commands.Command):
            command.autocomplete(parameter)(offer)
