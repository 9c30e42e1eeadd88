"""Where alerts go. Secrets are named, never written: `credential` is a name of `loquela credentials`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from loquela.core.model import BoundaryModel
from loquela.monitoring.alerts.notification import Severity
from loquela.monitoring.alerts.rules import RuleName

ChannelKind = Literal["email", "slack", "pagerduty", "discord", "webhook", "apprise"]
CHANNEL_KINDS: tuple[ChannelKind, ...] = get_args(ChannelKind)
CredentialName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
# A mailbox as we write it into a header: nothing that could begin another one.
Mailbox = Annotated[str, Field(pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]+@[A-Za-z0-9.-]+$", max_length=254)]


def _plain_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("an address begins with https:// and a host")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            "an address with a password or a query would be written into every run; "
            "keep it with `loquela credentials set NAME`, and write credential: NAME"
        )
    return url


PlainAddress = Annotated[str, AfterValidator(_plain_address)]


class _Channel(BoundaryModel):
    """What all channels have."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="how it is called in logs and on the command line"
    )
    from_severity: Severity = Field("info", description="info, warning or critical: this and worse goes here")
    rules: list[RuleName] | None = Field(None, min_length=1, description="only of these rules; null: of all")


class EmailChannel(_Channel):
    """Mail through an SMTP server."""

    kind: Literal["email"]
    host: str = Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9.:-]+$", description="SMTP server")
    port: int = Field(587, ge=1, le=65535, description="587 with starttls, 465 with tls")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="none: in clear, and then without a credential"
    )
    sender: Mailbox = Field(description="From")
    to: list[Mailbox] = Field(min_length=1, max_length=50, description="who gets it")
    credential: CredentialName | None = Field(None, description="username and password (basic); null: without")
    authority: Path | None = Field(
        None, description="PEM file of the authority of a server of your own; null: public ones"
    )

    @model_validator(mode="after")
    def _no_password_in_clear(self) -> Self:
        if self.security == "none" and self.credential is not None:
            raise ValueError("security: none would send the password in clear; use starttls or tls")
        return self


class SlackChannel(_Channel):
    """An incoming webhook of Slack."""

    kind: Literal["slack"]
    credential: CredentialName = Field(description="the webhook's address, which is a secret (bearer)")


class DiscordChannel(_Channel):
    """A webhook of a Discord channel."""

    kind: Literal["discord"]
    credential: CredentialName = Field(description="the webhook's address, which is a secret (bearer)")


class PagerdutyChannel(_Channel):
    """A service of PagerDuty, by its Events API v2: alerts open incidents, ends resolve them."""

    kind: Literal["pagerduty"]
    from_severity: Severity = Field("warning", description="info, warning or critical: this and worse goes here")
    credential: CredentialName = Field(description="the integration's routing key (bearer)")
    url: PlainAddress = Field("https://events.pagerduty.com/v2/enqueue", description="where events are sent")


class WebhookChannel(_Channel):
    """An address of your own: signed JSON."""

    kind: Literal["webhook"]
    url: PlainAddress = Field(description="where messages are sent")
    credential: CredentialName = Field(description="the secret that messages are signed with (bearer)")


class AppriseChannel(_Channel):
    """Any service that Apprise knows (extra `alerts`). Apprise makes its own connections."""

    kind: Literal["apprise"]
    credential: CredentialName = Field(description="the service's Apprise address, which holds its secrets (bearer)")


ChannelSettings = Annotated[
    EmailChannel | SlackChannel | DiscordChannel | PagerdutyChannel | WebhookChannel | AppriseChannel,
    Field(discriminator="kind"),
]
