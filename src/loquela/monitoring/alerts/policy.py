"""Everything that a person decides about alerts, as it stands in a recipe or a file of its own."""

from __future__ import annotations

from pydantic import Field, field_validator

from loquela.core.model import BoundaryModel
from loquela.monitoring.alerts.channel_settings import ChannelSettings
from loquela.monitoring.alerts.quiet_hours import QuietHours
from loquela.monitoring.alerts.rules import AlertRules


class AlertPolicy(BoundaryModel):
    """Who is told what of a run; without channels nothing is sent."""

    channels: list[ChannelSettings] = Field(
        default_factory=list,
        max_length=32,
        description="where alerts go: email, slack, pagerduty, discord, webhook, apprise",
    )
    quiet_hours: QuietHours | None = Field(None, description="when only what is critical is told; null: never")
    allow_private_addresses: bool = Field(
        False, description="let channels lead to loopback or private addresses, which may then be asked without TLS"
    )
    rules: AlertRules = Field(default_factory=AlertRules)

    @field_validator("channels")
    @classmethod
    def _told_apart(cls, channels: list[ChannelSettings]) -> list[ChannelSettings]:
        names = [channel.name for channel in channels]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two channels are called {twice[0]!r}; give each a name of its own")
        return channels

    def over(self, other: AlertPolicy) -> AlertPolicy:
        """This policy where it says something, `other` for the rest; channels of both, this one's by the same name."""
        own = {channel.name for channel in self.channels}
        said = {name: getattr(self, name) for name in self.model_fields_set - {"channels"}}
        channels = [*self.channels, *(channel for channel in other.channels if channel.name not in own)]
        return other.model_copy(update={**said, "channels": channels})
