"""The whole service in one command: API in this process, workers beside it, everything in one folder."""

from __future__ import annotations

import gc
import ipaddress
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from pydantic import JsonValue

from loquela.core.atomic import write_text
from loquela.core.errors import ErrorCode, ResourceError
from loquela.jobs.adopter import Adopter
from loquela.jobs.clock import MonotonicClock
from loquela.jobs.process_facts import worker_name
from loquela.jobs.settings import ServiceSettings
from loquela.service.alerts.policy import check_channels
from loquela.service.alerts.threads import AlertThreads
from loquela.service.app import build_app
from loquela.service.connections import PatientProtocol, end_unread
from loquela.service.found_runs import FoundRuns
from loquela.service.keys import Scope
from loquela.service.live_settings import watch_settings
from loquela.service.parts import Parts, make_parts
from loquela.service.sessions import LoginToken
from loquela.service.tls import check_tls
from loquela.service.worker_processes import WorkerProcesses, worker_command

OWNER_KEY = Path("keys") / "owner.key"
CLOSE_CONNECTIONS_SECONDS = 5
# Connections at once, beside those of event streams.
OTHER_CONNECTIONS = 512


@dataclass(frozen=True)
class Announcement:
    """What a person is told when the service listens; `new_key` only the first time.

    `in_the_clear`: other machines can reach it, and it does not speak TLS itself.
    """

    address: str
    login_link: str
    data: Path
    key_file: Path
    new_key: str | None
    in_the_clear: bool


def serve(
    settings: ServiceSettings,
    tell: Callable[[Announcement], None],
    read_again: Callable[[], ServiceSettings],
    files: Sequence[Path],
) -> None:
    """Listen until a signal asks to stop; workers save first. `read_again` reads the settings, from `files` and so on.

    Raises ResourceError(INSUFFICIENT_RESOURCES) for an address that is taken, RecipeError(CONFIG_INVALID) for TLS
    files that cannot be used, and what opening the database raises.
    """
    check_tls(settings)
    parts = make_parts(settings)
    try:
        check_channels(parts.alerts.in_force.policy)
        with _listening(settings) as listener, _watching(parts, read_again, files):
            _serve_on(listener, parts, tell)
    finally:
        parts.close()


def _serve_on(listener: socket.socket, parts: Parts, tell: Callable[[Announcement], None]) -> None:
    settings = parts.settings
    app = build_app(parts)
    # Whoever sets the machine's clock back does not make an old link good again.
    token = LoginToken(MonotonicClock())
    app.state.login = token
    port = int(listener.getsockname()[1])
    scheme = "https" if settings.tls_certificate is not None else "http"
    name = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{scheme}://{name}:{port}"
    new_key = _owner_key(parts)
    parts.audit.note("service.start", address, details=_shown(settings))
    alerts = AlertThreads(parts.database, parts.clock, parts.alerts.in_force, settings.data, worker_name())
    alerts.start()
    found_runs = FoundRuns(Adopter(settings.data, parts.database, parts.clock))
    workers = WorkerProcesses(worker_command(), settings.workers, _environment(settings))
    tell(
        Announcement(
            address=address,
            login_link=f"{address}/login?token={token.text}",
            data=settings.data,
            key_file=settings.data / OWNER_KEY,
            new_key=new_key,
            in_the_clear=settings.tls_certificate is None and not _only_here(settings.host),
        )
    )
    server = _uvicorn(app, settings)
    # What was made until now stays until the end: a collection that goes through it all costs a tenth of a second, in
    # the middle of whichever answer makes many objects.
    gc.collect()
    gc.freeze()

    def stop() -> None:
        """Before the server listens for signals itself, and after: it sends each again when it has stopped."""
        server.should_exit = True

    # Until all have saved: a second Ctrl+C does not cut that short.
    with _hearing({signal.SIGINT: stop, signal.SIGTERM: stop}):
        try:
            server.run(sockets=[listener])
        finally:
            workers.stop(settings.grace_seconds + 10)
            found_runs.stop()
            alerts.stop()


@contextmanager
def _watching(parts: Parts, read_again: Callable[[], ServiceSettings], files: Sequence[Path]) -> Iterator[None]:
    """What may change while the service runs is taken from its files as they change, and on SIGHUP."""
    watched = [watch_settings(parts.live, read_again, files), parts.live_alerts.watched()]

    def ask() -> None:
        for each in watched:
            each.ask()

    try:
        with _hearing({signal.SIGHUP: ask}):
            yield
    finally:
        for each in watched:
            each.stop()


@contextmanager
def _hearing(calls: Mapping[signal.Signals, Callable[[], None]]) -> Iterator[None]:
    """Call these for their signals; afterwards whoever heard them before does again."""
    before = {number: signal.signal(number, lambda heard, frame: calls[signal.Signals(heard)]()) for number in calls}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _only_here(host: str) -> bool:
    """Whether no other machine can reach what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(settings: ServiceSettings) -> dict[str, JsonValue]:
    """The settings in force, without a password."""
    values: dict[str, JsonValue] = settings.model_dump(mode="json", exclude={"database_url", "redis_url"})
    return {**values, "database": settings.shown_database, "redis": settings.redis_url is not None}


def _uvicorn(app: FastAPI, settings: ServiceSettings) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        # Strangers' nonsense is not worth a line each.
        log_level="error",
        access_log=False,
        limit_concurrency=settings.max_streams + OTHER_CONNECTIONS,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=64 * 1024,
        timeout_graceful_shutdown=CLOSE_CONNECTIONS_SECONDS,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
    return uvicorn.Server(config)


def _listening(settings: ServiceSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named, so that asyncio knows it for TCP and sends small answers at once instead of 40 ms later.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    end_unread(listener)
    try:
        listener.bind((settings.host, settings.port))
        # Who asks before the server is up is answered a moment later, not refused.
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise ResourceError(
            ErrorCode.INSUFFICIENT_RESOURCES,
            f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}",
            "stop what uses it, or choose another: loquela serve --port 0 takes any free one",
        ) from error
    return listener


def _owner_key(parts: Parts) -> str | None:
    """The first key, made once and left where only the owner of the folder can read it."""
    place = parts.data / OWNER_KEY
    if place.is_file():
        return None
    key, _ = parts.keys.create("owner", [Scope.ADMIN])
    write_text(place, key.text + "\n", 0o600)
    return key.text


def _environment(settings: ServiceSettings) -> dict[str, str]:
    """This process's, with the settings in force, so that workers have exactly the same."""
    values = settings.model_dump(mode="json", include={"database_url", "redis_url"}, exclude_none=True)
    numbers = settings.model_dump(mode="json", include={"lease_seconds", "beat_seconds", "grace_seconds"})
    own = {f"LOQUELA_{key.upper()}": str(value) for key, value in {**values, **numbers}.items()}
    return {**os.environ, **own, "LOQUELA_DATA": str(settings.data.resolve())}
