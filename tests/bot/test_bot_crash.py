"""The whole program `loquela bot`, killed and started again; and what a crash between any two steps may leave."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from discord_server import OWNER, TOKEN
from loquela.bot.delivery import Delivery
from loquela.bot.embeds import Embeds
from loquela.bot.messenger import ClosedToUs, MessageGone, TryLater
from loquela.bot.news import News
from loquela.bot.redaction import Redactor
from loquela.bot.settings import BotSettings
from loquela.bot.store import Store
from loquela.cli.main import answer
from loquela.client.answers import Run
from loquela.security.credentials.credential import from_text
from loquela.security.credentials.store import CredentialStore

# What `loquela bot` is, with Discord's addresses turned to the stand-in.
PROGRAM = """
import sys, discord, yarl
discord.http.Route.BASE = sys.argv[1]
discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(sys.argv[2])
from loquela.bot import client, delivery
delivery.GATHER_SECONDS = 0.1
from loquela.cli.main import answer
sys.exit(answer(["bot", *sys.argv[3:]]))
"""


@pytest.fixture
def program(fake, service, tmp_path):
    """Starts the program; its output and exit code can be looked at."""
    running = []

    def start(*options, **environment):
        data = str(tmp_path / "the bot")
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, fake.api, fake.gateway.address, "--data", data, *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
            env={**os.environ, "DISCORD_TOKEN": TOKEN, "DISCORD_OWNER_ID": str(OWNER), "API_BASE_URL": service.url,
                 "LOQUELA_API_KEY": service.key, "XDG_CONFIG_HOME": str(tmp_path), "PYTHONUNBUFFERED": "1",
                 **environment},
        )  # fmt: skip
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def _titles(fake):
    return [one.embed["title"].replace("\\", "") for one in fake.to(OWNER)]


def test_the_program_is_killed_and_goes_on_where_it_was(program, fake, service):
    first = program()
    assert "is connected to Discord and to" in first.stdout.readline()
    run = service.queue()
    fake.ask("watch", run=run).answer()
    fake.until(lambda: f"⏳ {run}" in _titles(fake))
    service.begin(run)
    fake.until(lambda: f"▶️ {run}: started" in _titles(fake))
    first.send_signal(signal.SIGKILL)
    first.wait()
    service.say(run, "training_orchestrator.checkpoint_saved.v1", step=77)
    service.end(run)
    second = program("--json")
    assert json.loads(second.stdout.readline())["owners"] == 1
    fake.until(lambda: f"✅ {run}: finished" in _titles(fake))
    fake.until(lambda: "step 77" in fake.to(OWNER)[0].text)
    assert _titles(fake) == [f"✅ {run}", f"▶️ {run}: started", f"✅ {run}: finished"]
    second.send_signal(signal.SIGTERM)
    out, err = second.communicate(timeout=100)
    assert second.returncode == 0
    assert TOKEN not in out + err
    assert service.key not in out + err


def test_a_wrong_token_ends_the_program_and_is_not_shown(program):
    process = program(DISCORD_TOKEN=TOKEN[:-1] + "x")
    out, err = process.communicate(timeout=200)
    assert "Discord does not know the bot's token" in err
    assert "to mend it: copy it anew" in err
    assert "Traceback" not in err
    assert process.returncode == 4
    assert TOKEN[:-1] not in out + err


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"DISCORD_TOKEN": ""}, 2, "the bot's token at Discord is missing: there is no credential 'discord'"),
        ({"LOQUELA_API_KEY": ""}, 2, "the bot's key of the service is missing"),
        ({"DISCORD_OWNER_ID": "Ann"}, 2, "owners from the environment cannot be used"),
        ({"DISCORD_OWNER_ID": ""}, 2, "the bot has no owner"),
        ({"API_BASE_URL": "ftp://somewhere"}, 2, "is no address of a service"),
    ],
)
def test_what_cannot_start_says_why(monkeypatch, capsys, tmp_path, changes, code, said):
    environment = {"DISCORD_TOKEN": TOKEN, "DISCORD_OWNER_ID": str(OWNER), "LOQUELA_API_KEY": "lq_x"}
    for name, value in {**environment, "XDG_CONFIG_HOME": str(tmp_path), **changes}.items():
        monkeypatch.setenv(name, value)
    assert answer(["bot", "--data", str(tmp_path / "bot")]) == code
    err = capsys.readouterr().err
    assert said in err
    assert "to mend it:" in err
    assert TOKEN not in err


def test_token_and_key_may_come_from_the_credentials(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for variable in ("DISCORD_TOKEN", "LOQUELA_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("DISCORD_OWNER_ID", str(OWNER))
    CredentialStore().put("discord", from_text("kept-token", "discord"))
    CredentialStore().put("loquela-api", from_text("kept-key", "loquela-api"))
    given = []
    monkeypatch.setattr("loquela.bot.serving.serve", lambda settings, secrets, tell: given.append(secrets))
    assert answer(["bot", "--data", str(tmp_path / "bot")]) == 0
    assert (given[0].token, given[0].api_key) == ("kept-token", "kept-key")
    assert "kept" not in repr(given[0])


class Letters:
    """Where messages arrive; it may fail before or after one has arrived, and takes a nonce once."""

    def __init__(self):
        self.sent, self.by_nonce, self.fails, self.deleted = {}, {}, [], set()

    def _may_fail(self, when):
        if self.fails and self.fails[0][0] == when:
            raise self.fails.pop(0)[1]

    async def send(self, owner, embed, picture, *, nonce, silent=False):
        self._may_fail("before")
        if nonce not in self.by_nonce:
            self.by_nonce[nonce] = len(self.sent) + 1
            self.sent[len(self.sent) + 1] = embed
        self._may_fail("after")
        return self.by_nonce[nonce]

    async def edit(self, owner, message, embed, picture):
        self._may_fail("before")
        if message in self.deleted:
            raise MessageGone
        self.sent[message] = embed
        self._may_fail("after")

    async def delete(self, owner, message):
        self.deleted.add(message)


class Runs:
    async def run(self, run_id):
        return Run(run_id=run_id, state="running", created_at=0.0)

    async def metrics(self, run_id, names, *, most=1000):
        return []


class CrashingBot(RuleBasedStateMachine):
    """News come, messages fail before or after they arrived, the program dies anywhere: each news is told once."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.loop = asyncio.new_event_loop()
        self.letters, self.now, self.rung, self.seq, self.last = Letters(), 1000.0, [], 0, ""
        self.settings = BotSettings(owners=[OWNER], batch_seconds=0, messages_per_minute=120)
        self._open()
        self.store.watch(OWNER, "run")

    def _open(self):
        self.store = Store(Path(self.folder.name))
        embeds = Embeds(Redactor())
        self.delivery = Delivery(OWNER, Runs(), self.store, self.letters, embeds, self.settings, lambda: self.now)

    def _deliver(self):
        try:
            self.loop.run_until_complete(self.delivery.deliver())
        except (TryLater, ClosedToUs):
            return False
        except KeyboardInterrupt:
            self.restart()
            return False
        return True

    @rule(rings=st.booleans())
    def news(self, rings):
        self.seq += 1
        self.last = f"news {self.seq}"
        self.store.heard("run", self.seq, News("k", self.last, rings), self.now)
        if rings:
            self.rung.append(self.last)

    @rule(seconds=st.sampled_from([0.0, 0.5, 2.0, 400.0, 4000.0, -50.0]))
    def time_goes_by(self, seconds):
        self.now += seconds

    @rule(when=st.sampled_from(["before", "after"]), how=st.sampled_from([TryLater, ClosedToUs, KeyboardInterrupt]))
    def fail_next(self, when, how):
        self.letters.fails.append((when, how()))

    @rule()
    def deliver(self):
        self._deliver()

    @rule()
    def restart(self):
        position = self.store.position()
        self.store.close()
        self._open()
        assert self.store.position() == position

    @precondition(lambda self: self.letters.sent)
    @rule(data=st.data())
    def somebody_deletes(self, data):
        self.letters.deleted.add(data.draw(st.sampled_from(sorted(self.letters.sent))))

    def _told(self):
        titles = [embed.title.partition(": ")[2] for embed in self.letters.sent.values() if ": " in (embed.title or "")]
        lines = [embed.description for embed in self.letters.sent.values() if embed.title == "What happened"]
        return titles + [line.rsplit("` ", 1)[1] for text in lines for line in text.splitlines()]

    @invariant()
    def nothing_is_told_twice(self):
        told = self._told()
        assert len(told) == len(set(told))
        assert set(told) <= set(self.rung)

    def teardown(self):
        self.letters.fails.clear()
        for _ in range(40):
            self.now += 60.0
            self._deliver()
        assert sorted(self._told()) == sorted(self.rung), "all that rings was told"
        card = self.store.card(OWNER, "run")
        shown = self.letters.sent[card.message]
        assert card.message not in self.letters.deleted
        assert not self.last or self.last in str(shown.to_dict())
        self.store.close()
        self.loop.close()
        self.folder.cleanup()


TestCrashingBot = CrashingBot.TestCase
TestCrashingBot.settings = hypothesis_settings(max_examples=12, stateful_step_count=25, deadline=None)
