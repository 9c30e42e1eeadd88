"""Settings that change while the service runs: read anew when their file changes, or on SIGHUP.

A file that cannot be used leaves everything as it was, and says so. What guards the service never loosens this way:
allow-lists only lose entries, limits on strangers only fall, texts are only kept out of the log. That, and what a
process takes once (addresses, the database, certificates), wants a restart.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import JsonValue, TypeAdapter, ValidationError

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.model import BoundaryModel
from loquela.core.near_names import unknown_name
from loquela.jobs.audit import AuditLog
from loquela.jobs.event_log import EventLog
from loquela.jobs.settings import ServiceSettings
from loquela.service.watched_files import WatchedFiles

SHRINKING = frozenset({"allowed_hosts", "allowed_origins", "allowed_sources", "allowed_credentials"})
FALLING = frozenset({"failures_per_minute"})
BOUNDED = frozenset({"reads_per_minute", "writes_per_minute", "inferences_per_minute"})
ONLY_OFF = frozenset({"log_texts"})
FREE = frozenset(
    {
        "max_body_bytes", "max_upload_bytes", "max_streams", "max_streams_per_key", "max_queued_jobs", "log_level",
        "fine_tuning_recipe", "alerts_file", "archive_runs", "cleanup_enabled", "cleanup_dry_run",
        "cleanup_grace_period_seconds", "cleanup_min_free_bytes", "corpus_cache_max_bytes",
        "corpus_cache_min_free_bytes", "tokenizer_min_unused_days",
    }
)  # fmt: skip
LIVE = SHRINKING | FALLING | BOUNDED | ONLY_OFF | FREE
CHANGED, REFUSED = "service.settings_changed.v1", "service.settings_refused.v1"
VALUES: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])
Watcher = Callable[[frozenset[str]], None]


class Reloaded(BoundaryModel):
    """What came of reading the settings anew: key → what it is now, or why it stayed."""

    changed: dict[str, JsonValue]
    refused: dict[str, str]


class LiveSettings:
    """Changes the settings in place, so that whoever holds them sees what is in force."""

    def __init__(self, settings: ServiceSettings, events: EventLog, audit: AuditLog) -> None:
        self._settings = settings
        self._events, self._audit = events, audit
        self._lock = threading.Lock()
        self._watchers: dict[str, Watcher] = {}

    def get(self, key: str) -> JsonValue:
        """The value in force; RecipeError(CONFIG_INVALID) for a key that there is not."""
        values = _values(self._settings)
        if key not in values:
            raise RecipeError(
                ErrorCode.CONFIG_INVALID, unknown_name("setting", key, ServiceSettings.model_fields), "correct the name"
            )
        return values[key]

    def update(self, key: str, value: JsonValue) -> bool:
        """Change one setting until the next start; whether it is another than before.

        Raises RecipeError(CONFIG_INVALID) for a key that there is not, a value that it cannot have, or a change that
        wants a restart.
        """
        self.get(key)
        try:
            wanted = ServiceSettings.model_validate(_values(self._settings) | {key: value})
        except ValidationError as error:
            why = error.errors()[0]["msg"]
            raise RecipeError(ErrorCode.CONFIG_INVALID, f"{key} cannot be that: {why}", "give another value") from error
        done = self.take(wanted)
        if done.refused:
            raise RecipeError(ErrorCode.CONFIG_INVALID, f"{key} stays: {done.refused[key]}", "write it and start again")
        return bool(done.changed)

    def watch(self, watcher: Watcher) -> str:
        """Call `watcher` with the names of what changed, after every change; returns the id to stop it with."""
        watch_id = str(uuid.uuid4())
        self._watchers[watch_id] = watcher
        return watch_id

    def unwatch(self, watch_id: str) -> bool:
        """Stop calling that watcher; whether there was one."""
        return self._watchers.pop(watch_id, None) is not None

    def take(self, wanted: ServiceSettings) -> Reloaded:
        """Put in force what of `wanted` may change now, and write down what did and what did not."""
        with self._lock:
            now, then = _values(self._settings), _values(wanted)
            differing = [key for key in now if now[key] != then[key]]
            refused = {key: why for key in differing if (why := _why_not(key, now[key], then[key])) is not None}
            changed = [key for key in differing if key not in refused]
            for key in changed:
                setattr(self._settings, key, getattr(wanted, key))
        done = Reloaded(changed={key: then[key] for key in changed}, refused=refused)
        if changed:
            told: dict[str, JsonValue] = {key: {"from": now[key], "to": then[key]} for key in changed}
            self._audit.note("settings.change", "reload", details=told)
            self._events.append(CHANGED, data=told)
            for watcher in list(self._watchers.values()):
                watcher(frozenset(changed))
        if refused:
            self.refuse({**refused})
        return done

    def refuse(self, why: dict[str, JsonValue]) -> None:
        """Write down what was not taken."""
        self._audit.note("settings.change", "reload", outcome="denied", details=why)
        self._events.append(REFUSED, data=why)


def watch_settings(live: LiveSettings, read: Callable[[], ServiceSettings], files: Sequence[Path]) -> WatchedFiles:
    """Take what may change of the settings, whenever one of their files does."""

    def refuse(error: RecipeError) -> None:
        live.refuse({"error": error.message, "remedy": error.remedy})

    return WatchedFiles("settings", lambda: files, lambda: live.take(read()), refuse)


def _why_not(key: str, now: JsonValue, then: JsonValue) -> str | None:
    """Why a setting may not change while the service runs; None when it may."""
    if key not in LIVE:
        return "it is taken when the service starts: start it again"
    if key in SHRINKING and isinstance(now, list) and isinstance(then, list) and not _within(then, now):
        return "an allow-list grows only when the service starts again"
    if key in FALLING and isinstance(now, int) and isinstance(then, int) and _open(then) > _open(now):
        return "it rises only when the service starts again"
    if key in BOUNDED and then == 0:
        return "a limit is lifted only when the service starts again"
    if key in ONLY_OFF and then is True:
        return "it is switched on only when the service starts again"
    return None


def _within(some: list[JsonValue], others: list[JsonValue]) -> bool:
    return all(each in others for each in some)


def _open(limit: int) -> float:
    """0 means that there is no limit."""
    return limit or float("inf")


def _values(settings: ServiceSettings) -> dict[str, JsonValue]:
    return VALUES.validate_python(settings.model_dump(mode="json"))
