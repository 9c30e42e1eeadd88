"""The policy of a service: the file that its settings name, else alerts.toml in its data folder, else none."""

from __future__ import annotations

from pathlib import Path

from loquela.channels.opening import open_channel
from loquela.core.model import BoundaryModel
from loquela.jobs.settings import ServiceSettings
from loquela.monitoring.alerts.policy import AlertPolicy
from loquela.monitoring.alerts.policy_file import load_policy

FILE_NAME = "alerts.toml"
NO_FILE = Path()


class RefusedFile(BoundaryModel):
    """Why a file of rules and channels was not taken."""

    message: str
    remedy: str
    at: float


class InForce:
    """The policy that holds now; whoever decides or sends asks for it each time."""

    def __init__(self, policy: AlertPolicy) -> None:
        self.policy = policy
        self.refused: RefusedFile | None = None


def policy_place(settings: ServiceSettings) -> Path | None:
    """The file of the policy; None where there is none. An empty name is no file at all, as for plain runs."""
    usual = settings.data / FILE_NAME
    place = settings.alerts_file if settings.alerts_file is not None else usual if usual.is_file() else None
    return None if place == NO_FILE else place


def policy_of(settings: ServiceSettings) -> AlertPolicy:
    """The policy of the file; errors as `load_policy`."""
    place = policy_place(settings)
    return AlertPolicy() if place is None else load_policy(place)


def check_channels(policy: AlertPolicy) -> None:
    """Open every channel, and send nothing; errors as `open_channel`."""
    for settings in policy.channels:
        open_channel(settings, allow_private=policy.allow_private_addresses)
