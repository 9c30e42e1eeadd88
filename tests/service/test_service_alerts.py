"""Alerts of the service: decided once, sent at least once, by one process at a time, whatever is killed."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from channel_servers import HttpServer, answer, hang
from jobs_databases import KINDS, fresh_database, stop_servers
from loquela.core.errors import ErrorCode, RecipeError, ResourceError
from loquela.jobs.adopter import Adopter
from loquela.jobs.claims import Claims, Ended, Holder
from loquela.jobs.clock import FakeClock
from loquela.jobs.database import Database, sqlite_url
from loquela.jobs.event_log import EventLog, append_event
from loquela.jobs.process_facts import host_name, worker_name
from loquela.jobs.records import JobError, NewJob
from loquela.jobs.requests import Requests
from loquela.jobs.schema import migrate
from loquela.jobs.settings import ServiceSettings
from loquela.jobs.states import JobState, Reason
from loquela.jobs.submissions import Submissions
from loquela.jobs.tables import alert_memories, alert_turns, deliveries
from loquela.monitoring.alerts.policy import AlertPolicy
from loquela.monitoring.events import Event
from loquela.runs.lock import RunLock
from loquela.runs.status import PipelineStatus
from loquela.service.alerts.delivering import LEASE_SECONDS, TRIES, Delivering
from loquela.service.alerts.evaluation import Evaluation
from loquela.service.alerts.policy import InForce, check_channels, policy_of
from loquela.service.alerts.threads import AlertThreads
from served import Served
from waiting import until
from worker_runs import recipe

STEP = "trainer.metrics.progress.v1"
HOLDER = Holder("worker", "host", "boot")


@pytest.fixture(scope="module", autouse=True)
def servers() -> Iterator[None]:
    yield
    stop_servers()


@pytest.fixture
def server() -> Iterator[HttpServer]:
    made = HttpServer()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOQUELA_CREDENTIAL_HOOK", "shared secret")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def policy(url: str = "http://127.0.0.1:1", **fields: object) -> AlertPolicy:
    hook = {"name": "hook", "kind": "webhook", "url": url, "credential": "hook"}
    return AlertPolicy.model_validate({"channels": [hook], "allow_private_addresses": True, **fields})


class Bench:
    """A database with jobs, an evaluation of its own, and time that stands still."""

    def __init__(self, database: Database, folder: Path, alerts: AlertPolicy) -> None:
        self.database, self.folder, self.policy = database, folder, alerts
        self.clock = FakeClock()
        self.log = EventLog(database, self.clock)
        self.claims = Claims(database, self.clock)
        self.evaluation = self.another("one")
        self.evaluation.turn()

    def another(self, owner: str) -> Evaluation:
        return Evaluation(self.database, self.clock, InForce(self.policy), self.folder, owner)

    def sender(self, owner: str = "one") -> Delivering:
        return Delivering(self.database, self.clock, InForce(self.policy), self.policy.channels[0].name, owner)

    def run(self, job_id: str = "my-run", kind: str = "run"):
        new = NewJob.model_validate({"id": job_id, "kind": kind, "run_id": job_id.partition(".")[0], "spec": {}})
        Submissions(self.database, self.clock).submit(new)
        job = self.claims.claim(HOLDER)
        return self.claims.started(job, 1)

    def steps(self, *losses: float, run: str = "my-run") -> None:
        for step, loss in enumerate(losses):
            self.log.append(STEP, run_id=run, job_id=run, data={"step": step, "loss": loss})

    def turn(self, later: float = 0.0) -> int:
        self.clock.advance(later)
        return self.evaluation.turn()

    def rows(self) -> list[tuple[str, str, str]]:
        with self.database.read() as connection:
            found = connection.execute(select(deliveries).order_by(deliveries.c.seq)).all()
        told = [(json.loads(row.notification), row.state) for row in found]
        return [(one["rule"], one["action"], state) for one, state in told]


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with fresh_database(request.param, tmp_path) as database:
        yield Bench(database, tmp_path, policy())


@pytest.fixture
def small(tmp_path: Path, server: HttpServer) -> Iterator[Bench]:
    """On SQLite, with a server that takes what is sent."""
    with fresh_database("sqlite", tmp_path) as database:
        yield Bench(database, tmp_path, policy(server.url))


# ── deciding ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_from_spike_to_end(bench: Bench) -> None:
    job = bench.run()
    bench.steps(*[2.0] * 10, 9.0, math.nan)
    assert bench.turn() == 15
    assert bench.turn() == 2  # what it said itself
    assert bench.turn() == 0
    bench.claims.end(job, Ended(JobState.SUCCEEDED, Reason.FINISHED))
    bench.turn()
    assert bench.rows() == [
        ("loss_spike", "trigger", "waiting"), ("nan", "trigger", "waiting"), ("loss_spike", "resolve", "waiting"),
        ("nan", "resolve", "waiting"), ("finished", "trigger", "waiting"),
    ]  # fmt: skip
    told = [event for event in bench.log.after(0) if event.name.startswith("alert.")]
    assert [(event.name, event.level, event.data["rule"]) for event in told][:2] == [
        ("alert.triggered.v1", "warn", "loss_spike"), ("alert.triggered.v1", "error", "nan"),
    ]  # fmt: skip
    assert told[0].run_id == "my-run"
    bench.turn()
    assert len(bench.rows()) == 5


def test_a_failure_says_its_code_and_ends_when_the_run_goes_on(bench: Bench) -> None:
    job = bench.run()
    secret = JobError(code="OOM", message="in /home/me/corpus: the secret text", remedy="x")
    bench.claims.end(job, Ended(JobState.FAILED, Reason.OUT_OF_MEMORY, error=secret))
    bench.turn()
    assert bench.rows() == [("failed", "trigger", "waiting")]
    with bench.database.read() as connection:
        body = connection.execute(select(deliveries.c.notification)).scalar_one()
    assert "error OOM" in body
    assert "/home/me" not in body
    Requests(bench.database, bench.clock).resume("my-run")
    bench.turn(1.0)
    bench.claims.started(bench.claims.claim(HOLDER), 1)
    bench.turn(1.0)
    assert bench.rows()[1:] == [("failed", "resolve", "waiting")]


def test_lost_workers_and_silence(bench: Bench) -> None:
    for _ in range(3):
        job = bench.run() if not bench.log.last_seq() else bench.claims.started(bench.claims.claim(HOLDER), 1)
        bench.clock.advance(31)
        job = bench.claims.heartbeat(job, {"step": bench.log.last_seq()}, advanced=True)
        bench.clock.advance(31)
        bench.claims.take_from_the_lost(job)
        bench.turn(10)
    assert bench.rows() == [("lease_flapping", "trigger", "waiting")]
    bench.clock.advance(400)
    job = bench.claims.started(bench.claims.claim(HOLDER), 1)
    bench.turn(10)
    assert len(bench.rows()) == 1
    bench.turn(1900)
    assert bench.rows()[1:] == [("stalled", "trigger", "waiting")]
    bench.claims.heartbeat(job, None, advanced=True)
    bench.turn(10)
    assert bench.rows()[2:] == [("stalled", "resolve", "waiting")]
    bench.turn(3600)
    assert ("lease_flapping", "resolve", "waiting") in bench.rows()


def test_checks_of_exports_and_other_jobs(bench: Bench) -> None:
    check = bench.run("my-run.check-1", "deploy_check")
    bench.claims.end(check, Ended(JobState.FAILED, Reason.PROOF_FAILED))
    bench.turn()
    assert bench.rows() == [("deployment_check_failed", "trigger", "waiting")]
    check = bench.run("my-run.check-2", "deploy_check")
    bench.claims.end(check, Ended(JobState.SUCCEEDED, Reason.FINISHED))
    bench.turn()
    assert bench.rows()[1:] == [("deployment_check_failed", "resolve", "waiting")]
    for kind in ("generate", "score", "export"):
        asked = bench.run(f"my-run.{kind}", kind)
        bench.claims.end(asked, Ended(JobState.FAILED, Reason.DATA_ERROR))
    bench.turn()
    # Whoever asked for a text is answered; a job that takes long is told of.
    assert bench.rows()[2:] == [("failed", "trigger", "waiting")]
    with bench.database.read() as connection:
        assert connection.execute(select(alert_memories.c.subject)).scalars().all() == ["my-run", "my-run.export"]


def test_a_low_disk_is_the_services(small: Bench) -> None:
    small.policy.rules.disk_low.free_gb = 1_000_000
    small.turn(10)
    assert small.rows() == [("disk_low", "trigger", "waiting")]
    small.turn(10)
    small.policy.rules.disk_low.free_gb = 0.000001
    small.turn(10)
    assert small.rows()[1:] == [("disk_low", "resolve", "waiting")]


def test_what_happened_before_the_first_turn_is_nobodys_alert(tmp_path: Path) -> None:
    with fresh_database("sqlite", tmp_path) as database:
        EventLog(database, FakeClock()).append(STEP, run_id="old", data={"step": 1, "loss": math.nan})
        bench = Bench(database, tmp_path, policy())
        bench.turn(10)
        assert bench.rows() == []


# ── whose turn it is ──────────────────────────────────────────────────────────────────────────────────


def test_old_runs_of_the_command_line_that_are_found_alarm_nobody_and_new_ones_do(small: Bench) -> None:
    runs = small.folder / "runs"
    for name in ("old-1", "new-1"):
        (runs / name).mkdir(parents=True)
        PipelineStatus(run_id=name, message="stopped").save(runs / name)
        told = Event(name=STEP, data={"step": 1, "loss": math.nan})
        (runs / name / "events.jsonl").write_text(told.model_dump_json() + "\n")
    adopter = Adopter(small.folder, small.database, small.clock)
    with RunLock(runs / "new-1"):
        adopter.look()
        small.evaluation.turn()
        small.clock.advance(10_000)
        small.evaluation.turn()
    with small.database.read() as connection:
        subjects = {str(row.subject) for row in connection.execute(select(alert_memories))}
    assert "new-1" in subjects
    assert "old-1" not in subjects


def test_one_of_several_processes_decides(bench: Bench) -> None:
    other = bench.another("two")
    bench.run()
    bench.steps(math.nan)
    assert other.turn() == 0
    assert bench.turn() > 0
    # The first one is silent for longer than its lease.
    bench.steps(math.nan)
    bench.clock.advance(21)
    assert other.turn() > 0
    assert bench.evaluation.turn() == 0
    # A lease that a wrong clock gave for years is none.
    bench.clock.advance(-1e8)
    bench.steps(math.nan)
    assert bench.evaluation.turn() > 0


def test_a_process_of_this_machine_that_is_gone_is_not_waited_for(small: Bench) -> None:
    small.run()
    with small.database.write() as connection:
        connection.execute(update(alert_turns).values(owner=worker_name(), until=small.clock.now() + 15))
    small.steps(math.nan)
    assert small.turn() == 0
    with small.database.write() as connection:
        connection.execute(update(alert_turns).values(owner=f"{host_name()}:1:77"))
    assert small.turn() > 0


def test_two_that_decide_at_once_leave_one_decision(bench: Bench) -> None:
    bench.run()
    bench.steps(*[2.0] * 10, 9.0, math.nan, 2.0)
    for _ in range(5):
        bench.log.append("notice.v1", run_id="my-run")
    together = [bench.another("one") for _ in range(4)]  # the same lease, as after a clock that jumped
    threads = [threading.Thread(target=one.turn) for one in together]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bench.turn(6)
    assert bench.rows() == [("loss_spike", "trigger", "waiting"), ("nan", "trigger", "waiting")]


def test_quiet_hours_end_in_one_summary(small: Bench, server: HttpServer) -> None:
    small.policy.quiet_hours = policy(quiet_hours={"start": "07:00", "end": "09:00", "time_zone": "UTC"}).quiet_hours
    for name in ("a", "b"):
        job = small.run(name)
        small.claims.end(job, Ended(JobState.SUCCEEDED, Reason.FINISHED))
    job = small.run("c")
    small.claims.end(job, Ended(JobState.FAILED, Reason.INTERNAL))
    small.turn()
    assert small.rows() == [
        ("finished", "trigger", "held"), ("finished", "trigger", "held"), ("failed", "trigger", "waiting"),
    ]  # fmt: skip
    small.turn(3600)
    small.turn(10)
    assert [state for _, _, state in small.rows()] == ["summed_up", "summed_up", "waiting", "waiting"]
    while small.sender().deliver():
        pass
    assert [one["action"] for one in server.bodies] == ["trigger", "summary"]
    assert server.bodies[1]["text"].splitlines()[0] == "a: it finished. It came to its end."


def test_what_was_held_alone_is_told_as_it_was(small: Bench) -> None:
    small.policy.quiet_hours = policy(quiet_hours={"start": "07:00", "end": "09:00", "time_zone": "UTC"}).quiet_hours
    small.claims.end(small.run(), Ended(JobState.SUCCEEDED, Reason.FINISHED))
    small.turn()
    small.turn(3600)
    assert small.rows() == [("finished", "trigger", "summed_up"), ("finished", "trigger", "waiting")]


# ── sending ───────────────────────────────────────────────────────────────────────────────────────────


def failed_run(bench: Bench) -> None:
    bench.claims.end(bench.run(), Ended(JobState.FAILED, Reason.INTERNAL))
    bench.turn()


def test_a_message_is_tried_until_it_is_taken(small: Bench, server: HttpServer) -> None:
    failed_run(small)
    server.plans = [answer(503), answer(429, Retry_After="50"), answer(200)]
    sender = small.sender()
    assert sender.deliver()
    assert not sender.deliver()
    small.clock.advance(1.3)
    assert sender.deliver()
    small.clock.advance(49)
    assert not sender.deliver()
    small.clock.advance(1)
    assert sender.deliver()
    assert not sender.deliver()
    assert small.rows() == [("failed", "trigger", "sent")]
    ids = {headers["webhook-id"] for _, headers, _ in server.got}
    assert (len(server.got), len(ids)) == (3, 1)


def test_a_message_that_nobody_takes_fails_with_its_reason(small: Bench, server: HttpServer) -> None:
    failed_run(small)
    server.default = answer(500)
    for _ in range(TRIES):
        assert small.sender().deliver()
        small.clock.advance(400)
    assert not small.sender().deliver()
    with small.database.read() as connection:
        row = connection.execute(select(deliveries)).one()
    assert (row.state, row.attempts) == ("failed", TRIES)
    assert row.error == "the alert channel hook could not be told: 127.0.0.1 answers 500"


def test_an_end_waits_for_its_beginning_and_others_do_not(small: Bench, server: HttpServer) -> None:
    job = small.run()
    small.steps(math.nan)
    small.turn()
    small.claims.end(job, Ended(JobState.SUCCEEDED, Reason.FINISHED))
    small.turn()
    server.plans = [answer(503)]
    for _ in range(3):
        small.sender().deliver()
    assert [(one["rule"], one["action"]) for one in server.bodies] == [("nan", "trigger"), ("finished", "trigger")]
    small.clock.advance(2)
    while small.sender().deliver():
        pass
    told = [(one["rule"], one["action"]) for one in server.bodies[2:]]
    assert told == [("nan", "trigger"), ("nan", "resolve")]


def test_a_sender_that_died_is_waited_for_and_another_sends(small: Bench, server: HttpServer) -> None:
    failed_run(small)
    claimed = small.sender("dead")._claim()
    assert claimed is not None
    assert not small.sender("two").deliver()
    small.clock.advance(LEASE_SECONDS + 1)
    assert small.sender("two").deliver()
    # The first one comes back: its word does not count any more.
    small.sender("dead")._failed(claimed, ResourceError(ErrorCode.NOTIFICATION_FAILED, "late", "x"))
    assert small.rows() == [("failed", "trigger", "sent")]


def test_several_senders_send_each_message_once(bench: Bench, server: HttpServer) -> None:
    bench.policy.channels[0] = bench.policy.channels[0].model_copy(update={"url": server.url})
    for number in range(6):
        bench.claims.end(bench.run(f"run-{number}"), Ended(JobState.SUCCEEDED, Reason.FINISHED))
    bench.turn()

    def work(owner: str) -> None:
        sender = bench.sender(owner)
        missed = 0
        while missed < 3:
            missed = 0 if sender.deliver() else missed + 1

    threads = [threading.Thread(target=work, args=(f"sender-{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one["subject"] for one in server.bodies) == [f"run-{number}" for number in range(6)]
    assert {state for _, _, state in bench.rows()} == {"sent"}


def test_a_credential_that_is_gone_is_the_rows_error(small: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    failed_run(small)
    monkeypatch.delenv("LOQUELA_CREDENTIAL_HOOK")
    assert small.sender().deliver()
    with small.database.read() as connection:
        row = connection.execute(select(deliveries)).one()
    assert row.state == "failed"
    assert "there is no credential 'hook'" in row.error


SENDER = """
import sys
from pathlib import Path
from loquela.jobs.clock import SystemClock
from loquela.jobs.database import Database
from loquela.jobs.process_facts import worker_name
from loquela.monitoring.alerts.policy import AlertPolicy
from loquela.service.alerts.policy import InForce
from loquela.service.alerts.threads import AlertThreads
database = Database(sys.argv[1])
policy = AlertPolicy.model_validate_json(sys.argv[2])
threads = AlertThreads(database, SystemClock(), InForce(policy), Path(sys.argv[3]), worker_name())
threads.start()
print("ready", flush=True)
sys.stdin.read()
"""


def numbers(database: Database, query) -> list:
    with database.read() as connection:
        return list(connection.execute(query).scalars())


def test_killed_while_it_sends_and_nothing_is_lost(tmp_path: Path, server: HttpServer) -> None:
    """kill -9 of the process that evaluates and sends; the next one sends the same message, under the same id."""
    database = Database(sqlite_url(tmp_path / "jobs.db"))
    migrate(database)
    alerts = policy(server.url)
    command = [sys.executable, "-c", SENDER, database.url, alerts.model_dump_json(), str(tmp_path)]
    server.default = hang
    first = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    second = None
    try:
        assert first.stdout.readline() == "ready\n"
        until(lambda: numbers(database, select(alert_turns.c.seq)))
        with database.write() as connection:
            append_event(connection, STEP, at=1.0, run_id="my-run", data={"step": 1, "loss": math.nan})
        until(lambda: server.got)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        server.default = answer(200)
        second = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        until(lambda: len(server.got) == 2)
        until(lambda: numbers(database, select(deliveries.c.state)) == ["sent"])
    finally:
        for process in (first, second):
            if process is not None:
                process.kill()
                process.wait()
                process.stdin.close()
                process.stdout.close()
        database.close()
    assert len({headers["webhook-id"] for _, headers, _ in server.got}) == 1
    assert {one["rule"] for one in server.bodies} == {"nan"}


def test_threads_send_what_happens_and_give_up_channels_that_are_gone(small: Bench, server: HttpServer) -> None:
    failed_run(small)
    with small.database.write() as connection:
        connection.execute(update(deliveries).values(channel="old"))
    threads = AlertThreads(small.database, small.clock, InForce(small.policy), small.folder, "one")
    threads.start()
    try:
        small.claims.end(small.run("other"), Ended(JobState.FAILED, Reason.INTERNAL))
        until(lambda: server.got)
    finally:
        threads.stop()
    assert [one["subject"] for one in server.bodies] == ["other"]
    assert small.rows()[0] == ("failed", "trigger", "failed")


# ── routes and settings ───────────────────────────────────────────────────────────────────────────────


def test_routes(parts, client_of, owner) -> None:
    parts.alerts.in_force.policy = policy()
    reader = client_of("read")
    assert reader.get("/alerts").json() == {"alerts": [], "channels": ["hook"], "refused": None}
    evaluation = Evaluation(parts.database, parts.clock, parts.alerts.in_force, parts.data, "one")
    evaluation.turn()
    parts.events.append(STEP, run_id="my-run", data={"step": 3, "loss": math.nan})
    evaluation.turn()
    [alert] = reader.get("/alerts").json()["alerts"]
    assert (alert["subject"], alert["rule"], alert["severity"], alert["told"]) == ("my-run", "nan", "critical", True)
    assert reader.post("/alerts/test", json={}).status_code == 403
    made = owner.post("/alerts/test", json={"channel": "hook"})
    assert made.status_code == 202
    page = reader.get("/alerts/deliveries", params={"limit": 1}).json()
    assert page["deliveries"][0]["id"] == made.json()["deliveries"][0]
    assert (page["deliveries"][0]["state"], page["deliveries"][0]["notification"]["action"]) == ("waiting", "test")
    older = reader.get("/alerts/deliveries", params={"before": page["next_before"]}).json()
    assert ([one["notification"]["rule"] for one in older["deliveries"]], older["next_before"]) == (["nan"], None)
    of_run = reader.get("/alerts/deliveries", params={"subject": "my-run"}).json()["deliveries"]
    assert [one["notification"]["rule"] for one in of_run] == ["nan"]
    wrong = owner.post("/alerts/test", json={"channel": "hok"})
    assert wrong.status_code == 400
    assert "no such alert channel 'hok'" in wrong.json()["error"]["message"]
    assert any(entry.action == "alerts.test" for entry in parts.audit.page())


def test_a_service_without_channels_says_so(owner) -> None:
    refused = owner.post("/alerts/test", json={})
    assert (refused.status_code, refused.json()["error"]["message"]) == (400, "this service has no alert channel")


def test_the_policy_of_a_service(tmp_path: Path) -> None:
    settings = ServiceSettings(data=tmp_path)
    assert policy_of(settings) == policy_of(ServiceSettings(data=tmp_path, alerts_file=Path(""))) == AlertPolicy()
    (tmp_path / "alerts.toml").write_text("[rules.nan]\nenabled = false\n")
    assert not policy_of(settings).rules.nan.enabled
    other = tmp_path / "other.toml"
    other.write_text(
        '[[channels]]\nname = "team"\nkind = "slack"\ncredential = "nowhere"\n[rules.nan]\nseverity = "warning"\n'
    )
    found = policy_of(ServiceSettings(data=tmp_path, alerts_file=other))
    assert found.rules.nan.severity == "warning"
    with pytest.raises(RecipeError, match="there is no credential 'nowhere'"):
        check_channels(found)


@pytest.mark.slow
def test_the_whole_service_tells_of_a_run(tmp_path: Path, server: HttpServer) -> None:
    (tmp_path / "my data" / "corpus").mkdir(parents=True)
    (tmp_path / "my data" / "alerts.toml").write_text(
        'allow_private_addresses = true\n[[channels]]\nname = "hook"\nkind = "webhook"\ncredential = "hook"\n'
        f'url = "{server.url}"\n'
    )
    # The file of the data folder: no other is named.
    served = Served(tmp_path, before="import os; os.environ.pop('LOQUELA_ALERTS_FILE', None)")
    try:
        assert served.get("/alerts") == {"alerts": [], "channels": ["hook"], "refused": None}
        assert served.client.post("/alerts/test", json={}).status_code == 202
        made = recipe(tmp_path / "my data" / "corpus")
        made["data"]["sources"] = ["story.txt"]
        refused = served.client.post("/runs/train", json={"recipe": made | {"alerts": {"channels": []}}})
        assert refused.status_code == 400
        asked = {"recipe": made, "until": "prepare"}
        run = served.client.post("/runs/train", json=asked).raise_for_status().json()["run_id"]
        served.until(run, lambda view: view["state"] == "succeeded")
        until(lambda: any(one["rule"] == "finished" for one in server.bodies))
        states = {row["state"] for row in served.get("/alerts/deliveries")["deliveries"]}
    finally:
        served.stop()
    told = [(one["rule"], one["action"]) for one in server.bodies]
    assert told == [("test", "test"), ("finished", "trigger")]
    assert states <= {"sent", "waiting"}
    kept = [path for path in served.data.rglob("*") if path.is_file()]
    assert not any(b"shared secret" in path.read_bytes() for path in kept)
