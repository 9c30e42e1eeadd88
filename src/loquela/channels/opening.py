"""From settings to a channel that can send: secrets are fetched, addresses looked at, nothing is sent."""

from __future__ import annotations

from urllib.parse import urlsplit

from loquela.channels.apprise_service import AppriseService
from loquela.channels.contract import Channel
from loquela.channels.discord import Discord
from loquela.channels.pagerduty import Pagerduty
from loquela.channels.post import Poster
from loquela.channels.secret import login_of, secret_address, token_of
from loquela.channels.slack import Slack
from loquela.channels.smtp import Email
from loquela.channels.webhook import Webhook
from loquela.monitoring.alerts.channel_settings import (
    AppriseChannel,
    ChannelSettings,
    DiscordChannel,
    EmailChannel,
    PagerdutyChannel,
    SlackChannel,
)
from loquela.security.credentials.lookup import Find, get


def open_channel(settings: ChannelSettings, *, allow_private: bool, find: Find = get) -> Channel:
    """The channel of `settings`.

    Raises RecipeError(AUTH_FAILED) for a credential that is not there, ResourceError (NOTIFICATION_FAILED,
    MISSING_EXTRA) for what could not work.
    """
    name = settings.name
    poster = Poster(name, allow_private)
    if isinstance(settings, EmailChannel):
        credential = settings.credential
        login = login_of(name, credential, settings.host, find) if credential is not None else None
        return Email(settings, allow_private, login)
    if isinstance(settings, SlackChannel):
        return Slack(poster, secret_address(name, settings.credential, find))
    if isinstance(settings, DiscordChannel):
        return Discord(poster, secret_address(name, settings.credential, find))
    if isinstance(settings, PagerdutyChannel):
        return Pagerduty(poster, settings.url, token_of(name, settings.credential, find, _host(settings.url)))
    if isinstance(settings, AppriseChannel):
        service = AppriseService(name, token_of(name, settings.credential, find))
        service.opened()
        return service
    return Webhook(poster, settings.url, token_of(name, settings.credential, find, _host(settings.url)))


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""
