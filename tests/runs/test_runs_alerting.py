"""Alerts of plain runs: the rules and channels of recipe and user's file, told from the run's own process."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import loquela
from channel_servers import HttpServer, answer, hang
from loquela.core.errors import ErrorCode, LoquelaError, RecipeError, ResourceError
from loquela.monitoring.alerts.notification import Notification
from loquela.monitoring.alerts.policy import AlertPolicy
from loquela.monitoring.events import Event, EventBus
from loquela.recipe.schema import Recipe
from loquela.runs.alerting.listener import AlertListener
from loquela.runs.alerting.log import LOG_NAME, Delivered, read_delivered
from loquela.runs.alerting.policy import check_alerts, open_channels, policy_of
from loquela.runs.alerting.watch import Watch
from waiting import until
from worker_runs import recipe

STEP, STARTED, FAILED = "trainer.metrics.progress.v1", "pipeline.started.v1", "pipeline.failed.v1"


@pytest.fixture
def server() -> Iterator[HttpServer]:
    made = HttpServer()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOQUELA_CREDENTIAL_HOOK", "shared secret")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("LOQUELA_ALERTS_FILE", raising=False)


def policy(server: HttpServer, **fields: object) -> AlertPolicy:
    hook = {"name": "hook", "kind": "webhook", "url": server.url, "credential": "hook"}
    return AlertPolicy.model_validate({"channels": [hook], "allow_private_addresses": True, **fields})


class Run:
    """A bus with a listener, as a run has them."""

    def __init__(self, alerts: AlertPolicy, folder: Path, **options: object) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.bus = EventBus(folder.name)
        self.heard: list[Event] = []
        self.bus.subscribe(self.heard.append)
        self.listener = AlertListener(alerts, open_channels(alerts), folder, self.bus, **options)
        self.bus.subscribe(self.listener)

    def tell(self, *events: tuple[str, dict]) -> None:
        for name, data in events:
            self.bus.publish(name, data)

    def outcomes(self) -> list[tuple[str, str, str]]:
        return [(one.notification.rule, one.notification.action, one.outcome) for one in read_delivered(self.folder)]


def test_a_run_that_goes_wrong_is_told_of_and_traced(server: HttpServer, tmp_path: Path) -> None:
    run = Run(policy(server), tmp_path / "my-run")
    run.tell((STARTED, {}), (STEP, {"step": 1, "loss": 2.0}), (STEP, {"step": 2, "loss": math.nan}))
    run.tell((FAILED, {"code": "NAN_LOSS", "message": "at /home/me/secret/place"}))
    assert [(one["rule"], one["action"]) for one in server.bodies] == [
        ("nan", "trigger"), ("nan", "resolve"), ("failed", "trigger"),
    ]  # fmt: skip
    assert "/home/me" not in json.dumps(server.bodies) + (run.folder / LOG_NAME).read_text()
    assert [outcome for _, _, outcome in run.outcomes()] == ["sent"] * 3
    traced = [(event.name, event.component) for event in run.heard if event.component == "AlertingSystem"]
    assert traced.count(("alerting_system.threshold_check.v1", "AlertingSystem")) == 2
    assert traced.count(("alerting_system.alert_sent.v1", "AlertingSystem")) == 3


def test_a_resumed_run_ends_its_failure_and_keeps_the_cool_down(server: HttpServer, tmp_path: Path) -> None:
    folder = tmp_path / "my-run"
    for _ in range(2):
        run = Run(policy(server), folder)
        run.tell((STARTED, {"resumed": True}), (STEP, {"step": 2, "loss": math.nan}), (FAILED, {"code": "OOM"}))
    told = [(one["rule"], one["action"]) for one in server.bodies]
    first = [("nan", "trigger"), ("nan", "resolve"), ("failed", "trigger")]
    # The second failure lies inside the cool-down of the first, as do its numbers.
    assert told == [*first, ("failed", "resolve")]
    assert server.bodies[2]["alert_id"] == server.bodies[3]["alert_id"]
    # Half a line that a crash left says nothing.
    with (folder / LOG_NAME).open("a") as log:
        log.write('{"time": "20')
    assert len(read_delivered(folder)) == 4


def test_a_channel_that_hangs_neither_stops_nor_slows_the_run(server: HttpServer, tmp_path: Path) -> None:
    server.default = hang
    run = Run(policy(server), tmp_path / "my-run", finish_seconds=0.3)
    began = time.perf_counter()
    run.tell((STARTED, {}), *[(STEP, {"step": step, "loss": math.nan}) for step in range(200)])
    assert time.perf_counter() - began < 8  # a hanging request alone takes ten seconds
    run.tell(("pipeline.completed.v1", {}))
    assert [(rule, outcome) for rule, _, outcome in run.outcomes()] == [
        ("nan", "dropped"), ("nan", "dropped"), ("finished", "dropped"),
    ]  # fmt: skip
    before = (run.folder / LOG_NAME).read_bytes()
    server.closing.set()
    time.sleep(0.3)
    assert (run.folder / LOG_NAME).read_bytes() == before  # the records were sealed


def test_failures_and_other_channels(server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOQUELA_CREDENTIAL_SLACK", f"{server.url}/slack")
    slack = {"name": "slack", "kind": "slack", "credential": "slack", "from_severity": "critical"}
    hook = {"name": "hook", "kind": "webhook", "url": f"{server.url}/hook", "credential": "hook", "rules": ["finished"]}
    server.default = answer(404)
    run = Run(policy(server, channels=[slack, hook]), tmp_path / "my-run")
    run.tell((STARTED, {}), (STEP, {"step": 2, "gradient_norm": 1e9}), (FAILED, {"code": "OOM"}))
    assert [path for path, _, _ in server.got] == ["/slack"]
    found = read_delivered(run.folder)
    assert [(one.channel, one.outcome) for one in found] == [(None, "noticed"), (None, "noticed"), ("slack", "failed")]
    assert found[-1].error == "the alert channel slack could not be told: 127.0.0.1 answers 404"


def test_quiet_hours_of_a_run(server: HttpServer, tmp_path: Path) -> None:
    class Clock:
        at = 1_800_000_000.0  # 08:00 UTC

        def __call__(self) -> float:
            return self.at

    clock = Clock()

    def watch(*arguments) -> Watch:
        return Watch(*arguments, clock=clock, tick_seconds=0.02)

    quiet = {"start": "07:00", "end": "09:00", "time_zone": "UTC"}
    rules = {"stalled": {"enabled": False}}
    run = Run(policy(server, quiet_hours=quiet, rules=rules), tmp_path / "my-run", make_watch=watch)
    run.tell((STARTED, {}), (STEP, {"gradient_norm": 1e9, "step": 1}), (STEP, {"loss": math.nan, "step": 2}))
    run.tell(*[(STEP, {"gradient_norm": 1.0, "loss": 1.0, "step": 2 + n}) for n in range(5)])
    until(lambda: len(server.got) == 2, every=0.02)
    assert [one["rule"] for one in server.bodies] == ["nan", "nan"]
    clock.at += 3600
    until(lambda: len(server.got) == 3, every=0.02)
    assert (server.bodies[2]["action"], server.bodies[2]["facts"]) == ("summary", {"alerts": 2})
    assert "over: the gradient norm" in server.bodies[2]["text"]
    # A run that ends in quiet hours sums up then: nobody is left to do it later.
    clock.at += 82_800
    run.tell(("pipeline.completed.v1", {}))
    assert server.bodies[-1]["rule"] == "finished"
    assert run.outcomes()[-2:] == [("finished", "trigger", "held"), ("finished", "trigger", "sent")]


def test_a_stall_and_a_full_disk_are_seen_by_the_clock(
    server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def watch(*arguments) -> Watch:
        return Watch(*arguments, tick_seconds=0.02)

    rules = {"stalled": {"seconds": 0.1}, "disk_low": {"free_gb": 1_000_000}}
    run = Run(policy(server, rules=rules), tmp_path / "my-run", make_watch=watch)
    run.tell((STARTED, {}))
    until(lambda: len(server.got) == 2, every=0.02)
    run.tell(("notice.v1", {}), ("pipeline.completed.v1", {}))
    rules_told = [(one["rule"], one["action"]) for one in server.bodies]
    assert rules_told[:2] == [("disk_low", "trigger"), ("stalled", "trigger")]
    assert ("stalled", "resolve") in rules_told
    assert ("disk_low", "resolve") in rules_told


def test_a_log_that_cannot_be_written_stops_no_message(
    server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise ResourceError(ErrorCode.DISK_FULL, "no room", "make some")

    monkeypatch.setattr("loquela.runs.alerting.watch.write_delivered", full)
    run = Run(policy(server), tmp_path / "my-run")
    run.tell((STARTED, {}), (FAILED, {"code": "DISK_FULL"}))
    assert [one["rule"] for one in server.bodies] == ["failed"]
    assert any(event.name == "alerting_system.alert_unlogged.v1" for event in run.heard)


# ── whose wishes ──────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_sent_unless_somebody_asks(tmp_path: Path) -> None:
    assert policy_of(Recipe()) is None
    assert check_alerts(Recipe()) == []


def test_the_users_own_file_holds_where_the_recipe_says_nothing(
    server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "config" / "loquela" / "alerts.toml"
    place.parent.mkdir(parents=True)
    place.write_text(
        'allow_private_addresses = true\n[[channels]]\nname = "me"\nkind = "webhook"\ncredential = "hook"\n'
        f'url = "{server.url}"\n[rules.nan]\nenabled = false\n'
    )
    found = policy_of(Recipe())
    assert found is not None
    assert [channel.name for channel in found.channels] == ["me"]
    assert not found.rules.nan.enabled
    both = policy_of(Recipe.model_validate({"alerts": {"rules": {"stalled": {"seconds": 5}}}}))
    assert both is not None
    assert ([channel.name for channel in both.channels], both.rules.nan.enabled) == (["me"], True)
    assert "channels me: whole" in check_alerts(Recipe())[0].message
    monkeypatch.setenv("LOQUELA_ALERTS_FILE", "")
    assert policy_of(Recipe()) is None
    other = tmp_path / "other.toml"
    other.write_text("[rules]\nnann = 1\n")
    monkeypatch.setenv("LOQUELA_ALERTS_FILE", str(other))
    with pytest.raises(RecipeError, match=r"a file of alerts, cannot be used: rules.nann: Extra inputs"):
        policy_of(Recipe())
    other.write_text("not toml")
    with pytest.raises(RecipeError, match="cannot be read as a file of alerts"):
        policy_of(Recipe())


def test_a_channel_that_could_not_work_is_refused_before_anything_is_written(
    server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    alerts = policy(server).model_dump(mode="json")
    alerts["channels"][0]["credential"] = "nowhere"
    made = recipe(tmp_path) | {"output_directory": str(tmp_path / "out"), "alerts": alerts}
    with pytest.raises(LoquelaError, match="there is no credential 'nowhere'"):
        loquela.run(Recipe.model_validate(made), quiet=True)
    assert not (tmp_path / "out" / "runs").exists()


def test_a_real_run_tells_that_it_finished(server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    alerts = policy(server, rules={"gradient_norm": {"over": 1e-9}}).model_dump(mode="json")
    made = recipe(tmp_path) | {"output_directory": str(tmp_path / "out"), "alerts": alerts}
    run = loquela.run(Recipe.model_validate(made), quiet=True)
    told = [(one["rule"], one["action"]) for one in server.bodies]
    assert told == [("gradient_norm", "trigger"), ("gradient_norm", "resolve"), ("finished", "trigger")]
    assert {one["subject"] for one in server.bodies} == {run.id}
    assert [one.outcome for one in read_delivered(run.directory)] == ["sent"] * 3
    assert "shared secret" not in "".join(
        path.read_text(errors="replace") for path in run.directory.rglob("*") if path.is_file()
    )
    names = {json.loads(line)["name"] for line in (run.directory / "events.jsonl").read_text().splitlines()}
    assert {"alerting_system.threshold_check.v1", "alerting_system.alert_sent.v1"} <= names


def test_a_line_of_the_log_is_read_back() -> None:
    made = Delivered.model_validate(
        {"channel": "x", "outcome": "held", "notification": Notification.model_validate(
            {"alert_id": "5b1f2d34-6d0c-4a0e-9f0b-0f6b1f6d1c11", "action": "test", "rule": "test", "severity": "info",
             "subject": "s", "dedup_key": "k", "title": "t", "text": "x", "at": 1.0})}
    )  # fmt: skip
    assert Delivered.model_validate_json(made.model_dump_json()) == made
