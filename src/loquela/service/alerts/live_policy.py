"""Rules and channels of alerts that change while the service runs: their file is read again when it changes.

A file that cannot be used leaves those in force, and says so. So does one that is gone: it may only be on its way, and
what waits to be sent would have no channel. Private addresses are opened by a restart alone.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from loquela.core.errors import ErrorCode, RecipeError
from loquela.jobs.audit import AuditLog
from loquela.jobs.clock import Clock
from loquela.jobs.event_log import EventLog
from loquela.jobs.settings import ServiceSettings
from loquela.monitoring.alerts.policy import AlertPolicy
from loquela.monitoring.alerts.rules import RULE_NAMES
from loquela.service.alerts.policy import FILE_NAME, InForce, RefusedFile, check_channels, policy_of, policy_place
from loquela.service.watched_files import WatchedFiles

CHANGED, REFUSED = "service.alerts_changed.v1", "service.alerts_refused.v1"


class LivePolicy:
    """Puts the file of alerts in force."""

    def __init__(
        self, in_force: InForce, settings: ServiceSettings, clock: Clock, events: EventLog, audit: AuditLog
    ) -> None:
        self._in_force, self._settings, self._clock = in_force, settings, clock
        self._events, self._audit = events, audit
        self._had_file = policy_place(settings) is not None

    def watched(self) -> WatchedFiles:
        """Look at the file from now on."""
        return WatchedFiles("alerts-file", self._files, self.take, self.refuse)

    def take(self) -> None:
        """Read the file; RecipeError(CONFIG_INVALID) where it cannot be used, and then nothing has changed."""
        there = policy_place(self._settings) is not None
        if self._had_file and not there and self._settings.alerts_file is None:
            raise RecipeError(
                ErrorCode.CONFIG_INVALID,
                f"{FILE_NAME} is gone from the data folder; what it said stays in force",
                "put it back, or leave an empty one if nobody is to be told of anything",
            )
        now, wanted = self._in_force.policy, policy_of(self._settings)
        if wanted.allow_private_addresses and not now.allow_private_addresses:
            raise RecipeError(
                ErrorCode.CONFIG_INVALID,
                "allow_private_addresses is switched on only when the service starts again",
                "start the service again, or leave it out; what was in force stays",
            )
        check_channels(wanted)
        changed: list[JsonValue] = [*_differences(now, wanted)]
        if changed:
            self._audit.note("alerts.change", "reload", details={"changed": changed})
            self._events.append(CHANGED, data={"changed": changed})
        self._had_file, self._in_force.policy, self._in_force.refused = there, wanted, None

    def refuse(self, error: RecipeError) -> None:
        """Write down why it was not taken."""
        why: dict[str, JsonValue] = {"error": error.message, "remedy": error.remedy}
        self._in_force.refused = RefusedFile(message=error.message, remedy=error.remedy, at=self._clock.now())
        self._audit.note("alerts.change", "reload", outcome="denied", details=why)
        self._events.append(REFUSED, data=why)

    def _files(self) -> list[Path]:
        """Also one that is not there yet."""
        place = policy_place(self._settings)
        named = self._settings.alerts_file is not None
        return [place] if place is not None else [] if named else [self._settings.data / FILE_NAME]


def _differences(now: AlertPolicy, then: AlertPolicy) -> list[str]:
    """The names of the channels, rules and keys that are not as they were; what they hold is said nowhere."""
    before = {channel.name: channel for channel in now.channels}
    after = {channel.name: channel for channel in then.channels}
    channels = [f"channels.{name}" for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    rules = [f"rules.{name}" for name in RULE_NAMES if now.rules.rule(name) != then.rules.rule(name)]
    keys = ("quiet_hours", "allow_private_addresses")
    return channels + rules + [key for key in keys if getattr(now, key) != getattr(then, key)]
