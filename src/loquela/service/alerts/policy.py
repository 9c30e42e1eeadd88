"""The policy of a service: the file that its settings name, else alerts.toml in its data folder, else none."""

from __future__ import annotations

from pathlib import Path

from loquela.channels.opening import open_channel
from loquela.jobs.settings import ServiceSettings
from loquela.monitoring.alerts.policy import AlertPolicy
from loquela.monitoring.alerts.policy_file import load_policy

FILE_NAME = "alerts.toml"
NO_FILE = Path()


def policy_of(settings: ServiceSettings) -> AlertPolicy:
    """The policy in force; errors as `load_policy`. An empty name is no file at all, as for plain runs."""
    usual = settings.data / FILE_NAME
    place = settings.alerts_file if settings.alerts_file is not None else usual if usual.is_file() else None
    return AlertPolicy() if place in (None, NO_FILE) else load_policy(place)


def check_channels(policy: AlertPolicy) -> None:
    """Open every channel, and send nothing; errors as `open_channel`."""
    for settings in policy.channels:
        open_channel(settings, allow_private=policy.allow_private_addresses)
