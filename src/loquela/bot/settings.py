"""What can be set: defaults < TOML file < environment < options. The two secrets are not among it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, JsonValue

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.layered_settings import Layer, layer_of_file, settings_of
from loquela.core.model import BoundaryModel

Owner = Annotated[int, Field(gt=0, lt=2**63)]
# Setting → variables that may hold it, the last one that is set wins.
VARIABLES: dict[str, tuple[str, ...]] = {
    "server": ("API_BASE_URL", "LOQUELA_SERVER"),
    "owners": ("DISCORD_OWNER_ID",),
    "data": ("LOQUELA_BOT_DATA",),
}


class BotSettings(BoundaryModel):
    """Everything that can be set."""

    server: str = Field("http://127.0.0.1:8040", description="address of the service", min_length=8, max_length=500)
    owners: list[Owner] = Field([], description="Discord's ids of those whom the bot obeys; all others are refused")
    data: Path = Field(Path("loquela-bot"), description="folder of the bot's own: what is watched, what was told")
    summary_minutes: float = Field(
        5.0, ge=0.05, le=1440, description="the card of a run that works is renewed this often"
    )
    batch_seconds: float = Field(10.0, ge=0, le=3600, description="news of a run within this time share one change")
    messages_per_minute: int = Field(
        20, ge=1, le=120, description="messages and changes of messages to one owner, at most"
    )
    most_watched: int = Field(50, ge=1, le=1000, description="runs that one owner watches at once, at most")
    most_recipe_bytes: int = Field(200_000, ge=100, le=500_000, description="of a recipe that is attached to /train")


def load_bot_settings(
    file: Path | None, environment: Mapping[str, str], given: Mapping[str, JsonValue] | None = None
) -> BotSettings:
    """The settings in force: `file` (where there is one), the environment, `given`.

    Raises RecipeError(CONFIG_INVALID) naming the file, variable or option, the key and what it may be.
    """
    unknown = "correct or remove that line; the token and the API key stand in no file"
    layers: list[Layer] = [
        *([layer_of_file(file, BotSettings, unknown)] if file is not None else []),
        ("the environment", _of_environment(environment)),
        ("an option", given or {}),
    ]
    return settings_of(BotSettings, layers, "docs/discord.md")


def require_owners(settings: BotSettings) -> list[int]:
    """The owners; RecipeError(CONFIG_INVALID) when there is none, who could be answered."""
    if not settings.owners:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            "the bot has no owner, so it would answer nobody",
            "give your Discord id: --owner ID (in Discord: Settings, Advanced, Developer Mode; then right-click your "
            "name, Copy User ID)",
        )
    return list(dict.fromkeys(settings.owners))


def _of_environment(environment: Mapping[str, str]) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for key, names in VARIABLES.items():
        texts = [environment[name] for name in names if environment.get(name)]
        if texts:
            found[key] = [part for part in re.split(r"[\s,]+", texts[-1]) if part] if key == "owners" else texts[-1]
    return found
