"""A run whose process was killed is told of by the process beside it; one that ended by itself is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from channel_servers import HttpServer
from loquela.monitoring.alerts.policy import AlertPolicy
from loquela.monitoring.events import EventBus
from loquela.runs.alerting.last_word import LastWord
from loquela.runs.alerting.listener import AlertListener
from loquela.runs.alerting.log import read_delivered
from loquela.runs.alerting.policy import open_channels
from waiting import until

RUN = """
import os, sys, time
from pathlib import Path
from loquela.monitoring.alerts.policy import AlertPolicy
from loquela.monitoring.events import EventBus
from loquela.runs.alerting.last_word import LastWord
from loquela.runs.alerting.listener import AlertListener
from loquela.runs.alerting.policy import open_channels
policy, folder, bus = AlertPolicy.model_validate_json(sys.argv[1]), Path(sys.argv[2]), EventBus()
bus.subscribe(AlertListener(policy, open_channels(policy), folder, bus, make_last_word=LastWord))
bus.publish("pipeline.started.v1", {})
if os.fork() == 0:
    time.sleep(60)  # a process of the run's own that holds on to what it had open
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def server() -> Iterator[HttpServer]:
    made = HttpServer()
    yield made
    made.close()


@pytest.fixture
def alerts(server: HttpServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AlertPolicy:
    monkeypatch.setenv("LOQUELA_CREDENTIAL_HOOK", "shared secret")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    hook = {"name": "hook", "kind": "webhook", "url": server.url, "credential": "hook"}
    return AlertPolicy.model_validate({"channels": [hook], "allow_private_addresses": True})


def test_a_run_that_was_killed_is_told_of(alerts: AlertPolicy, server: HttpServer, tmp_path: Path) -> None:
    folder = tmp_path / "my-run"
    folder.mkdir()
    command = [sys.executable, "-c", RUN, alerts.model_dump_json(), str(folder)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        (told,) = until(lambda: server.bodies)
        assert (told["rule"], told["action"], told["subject"]) == ("failed", "trigger", "my-run")
        assert "WORKER_CRASH" in told["text"]
        until(lambda: [one.outcome for one in read_delivered(folder)] == ["sent"])
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.stdout.close()


def test_a_run_that_ended_by_itself_leaves_nobody_behind(
    alerts: AlertPolicy, server: HttpServer, tmp_path: Path
) -> None:
    made: list[LastWord] = []

    def make(policy: AlertPolicy, folder: Path) -> LastWord:
        made.append(LastWord(policy, folder))
        return made[0]

    bus = EventBus()
    bus.subscribe(AlertListener(alerts, open_channels(alerts), tmp_path, bus, make_last_word=make))
    bus.publish("pipeline.started.v1", {})
    bus.publish("pipeline.completed.v1", {})
    assert made[0]._process.returncode == 0
    assert [one["rule"] for one in server.bodies] == ["finished"]
