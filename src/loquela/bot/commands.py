"""The slash commands: each asks the service one thing and shows its answer."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import discord
from discord import app_commands
from pydantic import JsonValue

from loquela.bot import chart, recipes
from loquela.bot.embeds import Embeds, Shown
from loquela.bot.messenger import picture_file
from loquela.bot.settings import BotSettings
from loquela.bot.store import Store
from loquela.bot.words import whole
from loquela.client.answers import Run
from loquela.client.async_client import AsyncClient
from loquela.core.errors import ErrorCode, LoquelaError, RecipeError

Asked = discord.Interaction[discord.Client]
Answer = tuple[discord.Embed, bytes | None]
RUN = "id of the run"
MOST_LISTED = 10
MOST_CHOICES = 25
CHART_POINTS = 400
# 10 000 events: a run with more has its newest checkpoint shown where it is watched.
MOST_EVENT_PAGES, EVENTS_A_PAGE = 20, 500
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
State = Literal["queued", "running", "paused", "interrupted", "succeeded", "failed", "cancelled"]
Family = Literal["transformer", "lstm", "gru"]
Tokenizer = Literal["bpe", "unigram", "wordpiece", "char", "word", "sentencepiece"]


@dataclass(frozen=True)
class Helpers:
    """What commands work with. `begin_to_watch` is awaited before a run is watched, `changed` after."""

    service: AsyncClient
    store: Store
    embeds: Embeds
    settings: BotSettings
    begin_to_watch: Callable[[], Awaitable[None]]
    changed: Callable[[int], None]


class Commands:
    """What owners may ask; that they are owners was checked before."""

    def __init__(self, helpers: Helpers) -> None:
        self._helpers = helpers
        self._service = helpers.service
        self._store = helpers.store
        self._embeds = helpers.embeds

    @app_commands.describe(
        recipe="a recipe file, .yaml or .toml",
        named="a recipe of the bot's own folder",
        corpus="sources, with commas between them, e.g. builtin:stories",
        model="family of the network; with corpus",
        tokenizer="how text becomes tokens; with corpus",
        epochs="passes over the corpus; with corpus",
    )
    async def train(
        self,
        interaction: Asked,
        recipe: discord.Attachment | None = None,
        named: str | None = None,
        corpus: str | None = None,
        model: Family | None = None,
        tokenizer: Tokenizer | None = None,
        epochs: app_commands.Range[int, 1, 10_000] | None = None,
    ) -> None:
        """Queue a run and watch it."""

        async def work() -> Answer:
            choices: dict[str, JsonValue] = {
                "model.family": model,
                "tokenizer.method": tokenizer,
                "train.epochs": epochs,
            }
            asked = await recipes.asked_for(recipe, named, corpus, choices, self._helpers.settings)
            self._require_room(interaction.user.id)
            # Discord may deliver a command twice; its id makes it one run.
            run = await self._service.train(
                asked, labels={"from": "discord"}, idempotency_key=f"discord-{interaction.id}"
            )
            await self._watch(interaction.user.id, run.run_id)
            return self._embeds.run(Shown(run, heading="queued"), time.time(), picture=False), None

        await self._answer(interaction, work)

    @app_commands.describe(run=RUN)
    async def status(self, interaction: Asked, run: str) -> None:
        """Show a run as it is now."""

        async def work() -> Answer:
            found = await self._service.run(_id(run))
            picture = await self._picture(found)
            card = self._store.card(interaction.user.id, found.run_id)
            checkpoint = card.checkpoint if card is not None else None
            shown = Shown(
                found,
                card.lines if card is not None else (),
                checkpoint if checkpoint is not None else await self._checkpoint(found.run_id),
            )
            return self._embeds.run(shown, time.time(), picture=picture is not None), picture

        await self._answer(interaction, work)

    @app_commands.describe(run=RUN)
    async def cancel(self, interaction: Asked, run: str) -> None:
        """Stop a run; it saves first and can be resumed."""

        async def work() -> Answer:
            found = await self._service.cancel(_id(run))
            return self._embeds.run(Shown(found), time.time(), picture=False), None

        await self._answer(interaction, work)

    @app_commands.describe(state="only runs in this state")
    async def runs(self, interaction: Asked, state: State | None = None) -> None:
        """Show the newest runs."""

        async def work() -> Answer:
            page = await self._service.runs(limit=MOST_LISTED, states=(state,) if state is not None else ())
            watched = [card.run_id for card in self._store.cards(interaction.user.id)]
            return self._embeds.runs(page.runs, watched), None

        await self._answer(interaction, work)

    @app_commands.describe(run=RUN)
    async def watch(self, interaction: Asked, run: str) -> None:
        """Be told of a run from now on."""

        async def work() -> Answer:
            found = await self._service.run(_id(run))
            if self._store.card(interaction.user.id, found.run_id) is None:
                self._require_room(interaction.user.id)
            new = await self._watch(interaction.user.id, found.run_id)
            heading = "watched from now on" if new else "is already watched"
            return discord.Embed(title=f"{found.run_id} {heading}".replace("_", "\\_"), colour=0x3498DB), None

        await self._answer(interaction, work)

    @app_commands.describe(run=RUN)
    async def unwatch(self, interaction: Asked, run: str) -> None:
        """Be told no more of a run."""

        async def work() -> Answer:
            run_id = _id(run)
            was = self._store.unwatch(interaction.user.id, run_id)
            heading = "is no longer watched" if was else "was not watched"
            return discord.Embed(title=f"{run_id} {heading}".replace("_", "\\_"), colour=0x7F8C8D), None

        await self._answer(interaction, work)

    async def known_runs(self, interaction: Asked, current: str) -> list[app_commands.Choice[str]]:
        """Run ids that begin like, or hold, what was typed."""
        try:
            page = await self._service.runs(limit=100)
        except LoquelaError:
            # The field can still be typed into, and the command itself says what is wrong.
            return []
        fitting = [run.run_id for run in page.runs if current.lower() in run.run_id.lower()]
        return [app_commands.Choice(name=one, value=one) for one in fitting[:MOST_CHOICES]]

    async def watched_runs(self, interaction: Asked, current: str) -> list[app_commands.Choice[str]]:
        """The same of what the owner watches."""
        watched = [card.run_id for card in self._store.cards(interaction.user.id)]
        fitting = [one for one in watched if current.lower() in one.lower()]
        return [app_commands.Choice(name=one, value=one) for one in fitting[:MOST_CHOICES]]

    async def named_recipes(self, interaction: Asked, current: str) -> list[app_commands.Choice[str]]:
        """Names of recipes."""
        fitting = [one for one in recipes.names(self._helpers.settings.data) if current.lower() in one.lower()]
        return [app_commands.Choice(name=one[:100], value=one) for one in fitting[:MOST_CHOICES] if len(one) <= 100]

    async def _answer(self, interaction: Asked, work: Callable[[], Awaitable[Answer]]) -> None:
        """Discord wants a sign of life within three seconds; the answer itself may take longer."""
        await interaction.response.defer(thinking=True)
        try:
            embed, picture = await work()
        except LoquelaError as error:
            embed, picture = self._embeds.error(error), None
        files = [] if picture is None else [picture_file(picture)]
        await interaction.edit_original_response(embed=embed, attachments=files)

    async def _picture(self, run: Run) -> bytes | None:
        if "loss" not in run.progress:
            return None
        return await chart.drawn(await self._service.metrics(run.run_id, chart.LOSSES, most=CHART_POINTS))

    async def _checkpoint(self, run_id: str) -> int | None:
        """The step of the run's newest checkpoint, from its events."""
        after, found = 0, None
        for _ in range(MOST_EVENT_PAGES):
            page = await self._service.events(after=after, run_id=run_id, limit=EVENTS_A_PAGE)
            for event in page.events:
                if event.name == "training_orchestrator.checkpoint_saved.v1":
                    found = whole(event.data.get("step"))
            if len(page.events) < EVENTS_A_PAGE:
                break
            after = page.last_seq
        return found

    async def _watch(self, owner: int, run_id: str) -> bool:
        await self._helpers.begin_to_watch()
        new = self._store.watch(owner, run_id)
        self._helpers.changed(owner)
        return new

    def _require_room(self, owner: int) -> None:
        most = self._helpers.settings.most_watched
        if len(self._store.cards(owner)) >= most:
            raise RecipeError(
                ErrorCode.CONFIG_INVALID,
                f"{most} runs are watched, which is the most",
                "stop watching one with /unwatch, or raise most_watched",
            )


def _id(run: str) -> str:
    """What was typed where a run's id belongs; RecipeError(RUN_NOT_FOUND) for what can be none."""
    if RUN_ID.fullmatch(run.strip()) is None:
        raise RecipeError(ErrorCode.RUN_NOT_FOUND, "that is no id of a run", "choose one of the list that is offered")
    return run.strip()
