"""A bot between a local stand-in for Discord and the service's real API, whose worker the test plays itself."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time

import discord
import httpx
import pytest
import uvicorn
import yarl

from discord_server import OWNER, TOKEN, DiscordServer
from loquela.bot import client, delivery, follower, serving
from loquela.bot.redaction import Redactor
from loquela.bot.settings import BotSettings
from loquela.client import connection
from loquela.core.atomic import append_line
from loquela.jobs.claims import Claims, Ended, Holder
from loquela.jobs.clock import SystemClock
from loquela.jobs.ingest import METRICS, Ingester
from loquela.jobs.records import JobError
from loquela.jobs.settings import ServiceSettings
from loquela.jobs.states import JobState, Reason
from loquela.jobs.tables import metadata
from loquela.service.app import build_app
from loquela.service.keys import Scope
from loquela.service.parts import make_parts

RECIPE = {"name": "tiny", "data": {"sources": ["builtin:stories"]}}


class Service:
    """The API on a port of its own; it can go away and come back there."""

    def __init__(self, folder):
        self.parts = make_parts(ServiceSettings(data=folder))
        self.claims = Claims(self.parts.database, SystemClock())
        self.key = self.parts.keys.create("bot", [Scope.READ, Scope.RUN])[0].text
        self.jobs = {}
        self.port = 0
        self.start()
        self.http = httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.key}"})

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            build_app(self.parts), log_level="critical", access_log=False, timeout_graceful_shutdown=0, lifespan="off"
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listener]}, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def stop(self):
        self.server.should_exit = True
        self.thread.join(10)

    def close(self):
        self.stop()
        self.http.close()
        self.parts.close()

    def queue(self, **more):
        return self.http.post("/runs/train", json={"recipe": RECIPE, **more}).raise_for_status().json()["run_id"]

    def run(self, run):
        return self.http.get(f"/runs/{run}").raise_for_status().json()

    def begin(self, run):
        """A worker takes the run."""
        job = self.claims.claim(Holder("w", "h", "b"))
        assert job.run_id == run
        self.jobs[run] = self.claims.started(job, 1)

    def say(self, run, name, **data):
        self.parts.events.append(name, job_id=run, run_id=run, data=data)

    def progress(self, run, **progress):
        self.claims.heartbeat(self.jobs[run], progress, advanced=True)

    def losses(self, run, folder, losses):
        folder.mkdir(parents=True, exist_ok=True)
        for step, loss in enumerate(losses, start=1):
            append_line(folder / METRICS, json.dumps({"step": step, "loss": loss}))
        Ingester(self.parts.database, SystemClock()).take(run, run, folder)

    def end(self, run, state=JobState.SUCCEEDED, reason=Reason.FINISHED, error=None):
        told = JobError(**error) if error else None
        message = error["message"] if error else None
        self.claims.end(self.jobs[run], Ended(state, reason, message=message, error=told))


class Bot:
    """The bot's whole work in a thread."""

    def __init__(self, settings, secrets):
        self.connected = []
        self.error = None
        self.loop = asyncio.new_event_loop()
        self.task = None
        self.settings, self.secrets = settings, secrets
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        asyncio.set_event_loop(self.loop)
        work = serving.work(self.settings, self.secrets, self.connected.append, Redactor([self.secrets.token]))
        self.task = self.loop.create_task(work)
        try:
            self.loop.run_until_complete(self.task)
        except asyncio.CancelledError:
            pass
        except Exception as error:
            self.error = error
        finally:
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()

    def stop(self):
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.task.cancel)
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture(autouse=True)
def logs_as_before():
    """The program turns loggers to its own handler; here they are turned back."""
    loggers = [logging.getLogger(name) for name in ("loquela.bot", "discord", "asyncio", "discord.state")]
    before = [(one, one.handlers[:], one.level, one.propagate) for one in loggers]
    yield
    for one, handlers, level, propagate in before:
        one.handlers[:], one.propagate = handlers, propagate
        one.setLevel(level)


@pytest.fixture
def fake(monkeypatch):
    made = DiscordServer()
    monkeypatch.setattr(discord.http.Route, "BASE", made.api)
    monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(made.gateway.address))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def one_service(tmp_path_factory):
    made = Service(tmp_path_factory.mktemp("service"))
    yield made
    made.close()


@pytest.fixture
def service(one_service):
    """As new: no runs, no events."""
    with one_service.parts.database.write() as connection:
        for table in reversed(metadata.sorted_tables):
            if table.name not in ("api_keys", "audit"):
                connection.execute(table.delete())
    if not one_service.thread.is_alive():
        one_service.start()
    return one_service


@pytest.fixture
def settings(tmp_path, service):
    return BotSettings(
        server=service.url, owners=[OWNER], data=tmp_path / "bot", batch_seconds=0, messages_per_minute=120
    )


@pytest.fixture
def start_bot(fake, service, settings, monkeypatch):
    """Starts bots, ends them all; everything that waits is made quick."""
    for module, name, value in [
        (delivery, "GATHER_SECONDS", 0.1), (delivery, "LOOK_EVERY_SECONDS", 0.05),
        (delivery, "FIRST_PAUSE_SECONDS", 0.1), (delivery, "CLOSED_PAUSE_SECONDS", 0.1),
        (follower, "FIRST_PAUSE_SECONDS", 0.1), (serving, "FIRST_PAUSE_SECONDS", 0.1),
        (client, "REIDENTIFY_SECONDS", 0.05), (connection, "FIRST_PAUSE_SECONDS", 0.02),
    ]:  # fmt: skip
        monkeypatch.setattr(module, name, value)
    bots = []

    def start(*, wait=True, token=TOKEN, key=None, **changes):
        made = settings.model_copy(update=changes)
        bot = Bot(made, serving.Secrets(token, key if key is not None else service.key))
        bots.append(bot)
        if wait:
            fake.until(lambda: bot.connected or bot.error)
            assert bot.error is None, bot.error
        return bot

    yield start
    for bot in bots:
        bot.stop()


@pytest.fixture
def bot(start_bot):
    return start_bot()
