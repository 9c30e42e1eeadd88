"""Whose wishes hold for a run: the recipe's, and those of the user's own file where the recipe says nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from loquela.artifacts.proof import Proof
from loquela.channels.contract import Channel
from loquela.channels.opening import open_channel
from loquela.monitoring.alerts.policy import AlertPolicy
from loquela.monitoring.alerts.policy_file import load_policy
from loquela.recipe.schema import Recipe
from loquela.security.credentials.private_files import config_directory

# A path; empty for no file at all.
VARIABLE = "LOQUELA_ALERTS_FILE"
FILE_NAME = "alerts.toml"


def user_file(environment: Mapping[str, str] | None = None) -> Path | None:
    """The user's own file: the one that the variable names, else alerts.toml in their folder for Loquela, if there."""
    named = (os.environ if environment is None else environment).get(VARIABLE)
    if named is not None:
        return Path(named) if named else None
    usual = config_directory() / FILE_NAME
    return usual if usual.is_file() else None


def policy_of(recipe: Recipe) -> AlertPolicy | None:
    """What holds for a run of `recipe`; None when nobody has asked for alerts. Errors as `load_policy`."""
    place = user_file()
    users = load_policy(place) if place is not None else None
    if recipe.alerts is None:
        return users
    return recipe.alerts if users is None else recipe.alerts.over(users)


def open_channels(policy: AlertPolicy) -> dict[str, Channel]:
    """Every channel by its name; errors as `open_channel`."""
    return {
        settings.name: open_channel(settings, allow_private=policy.allow_private_addresses)
        for settings in policy.channels
    }


def check_alerts(recipe: Recipe) -> list[Proof]:
    """One proof for all channels, before anything is written; errors as `open_channel`. Nothing is sent."""
    policy = policy_of(recipe)
    if policy is None or not policy.channels:
        return []
    opened = open_channels(policy)
    return [Proof(name="alerts", passed=True, message=f"channels {', '.join(opened)}: whole, with their credentials")]
