"""What the service stands on goes away while it works: that is said, nothing is lost, and it comes back by itself."""

import asyncio
import json
import threading

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import insert

from jobs_databases import postgresql, stop_servers
from loquela.jobs.clock import FakeClock
from loquela.jobs.database import Database
from loquela.jobs.settings import ServiceSettings
from loquela.jobs.tables import jobs, metadata
from loquela.service import streams
from loquela.service.app import build_app
from loquela.service.keys import Scope
from loquela.service.parts import make_parts
from postgresql_server import PASSWORD
from small_disk import held_by_another, small_disk
from waiting import until

HOUR, YEAR = 3600.0, 31_536_000.0
BODY = {"recipe": {"data": {"sources": ["builtin:stories"]}}}


class Bench:
    """A service in this process and an owner's client."""

    def __init__(self, settings, clock=None):
        self.parts = make_parts(settings, clock)
        key = self.parts.keys.create("owner", [Scope.ADMIN])[0].text
        self.client = TestClient(
            build_app(self.parts),
            base_url="http://localhost",
            headers={"X-Api-Key": key},
            raise_server_exceptions=False,
        )

    def train(self, key="once", **more):
        return self.client.post("/runs/train", json=BODY, headers={"Idempotency-Key": key}, **more)

    def runs(self):
        return [run["run_id"] for run in self.client.get("/runs").json()["runs"]]


@pytest.fixture
def make():
    made = []

    def bench(settings, clock=None):
        made.append(Bench(settings, clock))
        return made[-1]

    yield bench
    for each in made:
        each.parts.close()


@pytest.fixture(scope="module")
def server():
    yield postgresql()
    stop_servers()


@pytest.fixture
def on_postgresql(make, server, tmp_path):
    url = f"postgresql://owner:{PASSWORD}@127.0.0.1:{server.port}/books"
    database = Database(url)
    with database.write() as connection:
        metadata.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE IF EXISTS alembic_version")
    database.close()
    return make(ServiceSettings(data=tmp_path / "d", database_url=url, archive_runs=False))


def told(answer, said):
    """One clear error, with what to do and when to ask again."""
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (503, "PERSISTENCE_FAILED")
    assert said in error["message"]
    assert PASSWORD not in answer.text
    assert "as soon as it is back" in error["remedy"]
    assert int(answer.headers["Retry-After"]) > 0


def test_a_database_that_another_process_holds_is_waited_for_and_then_said(make, tmp_path, monkeypatch):
    monkeypatch.setattr("loquela.jobs.database.BUSY_SECONDS", 0.2)
    bench = make(ServiceSettings(data=tmp_path / "d"))
    kept = bench.train("before").json()["run_id"]
    with held_by_another(tmp_path / "d" / "service.db") as holder:
        told(bench.train(), "database is locked")
        # Who only reads does not wait.
        assert bench.runs() == [kept]
        assert bench.client.get("/readyz").json()["checks"]["database"] == "ok"
        holder.kill()
        holder.wait()
        assert bench.train().status_code == 202
    assert len(bench.runs()) == 2
    assert bench.train().json()["run_id"] in bench.runs()


def test_more_who_wait_than_there_are_connections_are_told_the_same(make, tmp_path, monkeypatch):
    monkeypatch.setattr("loquela.jobs.database.BUSY_SECONDS", 2.0)
    monkeypatch.setattr("loquela.jobs.database.CONNECTIONS", {"pool_size": 1, "max_overflow": 1, "pool_timeout": 0.2})
    bench = make(ServiceSettings(data=tmp_path / "d", archive_runs=False))
    answers = []
    with held_by_another(tmp_path / "d" / "service.db"):
        threads = [
            threading.Thread(target=lambda number=number: answers.append(bench.train(f"key-{number}")))
            for number in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {answer.status_code for answer in answers} == {503}
    assert any("no connection is left" in answer.text for answer in answers)
    assert bench.train("later").status_code == 202


def test_a_postgresql_that_is_killed_and_comes_back(on_postgresql, server):
    kept = on_postgresql.train("before").json()["run_id"]
    server.kill()
    try:
        for answer in (on_postgresql.train(), on_postgresql.client.get("/runs"), on_postgresql.client.get("/me")):
            told(answer, "cannot be used")
        assert on_postgresql.client.get("/healthz").status_code == 200
        ready = on_postgresql.client.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["database"]) == (503, "it cannot be reached")
    finally:
        server.start()
    assert on_postgresql.runs() == [kept]
    made = on_postgresql.train().json()["run_id"]
    assert on_postgresql.runs() == [made, kept]
    assert on_postgresql.client.get("/readyz").status_code == 200


class Reader:
    """A request whose sender stays."""

    async def is_disconnected(self):
        return False


def test_a_stream_goes_on_when_its_database_is_back(on_postgresql, server, monkeypatch):
    monkeypatch.setattr(streams, "AWAY_SECONDS", 0.05)
    events = on_postgresql.parts.events
    events.append("first.v1")
    found = []

    def after(position):
        return [(str(event.seq), event.name, "{}") for event in events.after(int(position))], True

    async def read():
        stream = streams._sent(Reader(), "0", after, lambda: True)
        async for part in stream:
            found.append(part.decode())
            if "first.v1" in found[-1]:
                server.kill()
            elif "the database is away" in found[-1] and "second" not in str(found):
                server.start()
                events.append("second.v1")
                found.append("second")
            elif "second.v1" in found[-1]:
                await stream.aclose()
                return

    asyncio.run(asyncio.wait_for(read(), 120))
    assert sum("first.v1" in part for part in found) == sum("second.v1" in part for part in found) == 1


def test_a_postgresql_that_only_reads(on_postgresql, server):
    kept = on_postgresql.train("before").json()["run_id"]

    def only_reads(yes):
        with server.connect() as connection:
            connection.autocommit = True
            connection.execute(f"ALTER DATABASE books SET default_transaction_read_only = {'on' if yes else 'off'}")
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                " AND datname = 'books'"
            )

    only_reads(True)
    try:
        told(on_postgresql.train(), "read-only transaction")
        assert on_postgresql.runs() == [kept]
    finally:
        with server.connect("postgres") as connection:
            connection.autocommit = True
            connection.execute("ALTER DATABASE books RESET default_transaction_read_only")
        on_postgresql.parts.database.engine.dispose()
    assert on_postgresql.train().status_code == 202
    assert len(on_postgresql.runs()) == 2


def test_a_disk_that_only_reads(make, tmp_path):
    with small_disk(tmp_path / "disk", 16) as disk:
        url = f"sqlite:///{disk.root / 'service.db'}"
        bench = make(ServiceSettings(data=tmp_path / "d", database_url=url, archive_runs=False))
        kept = bench.train("before").json()["run_id"]

        def only_reads():
            # The kernel waits for whoever has a file open for writing.
            bench.parts.database.engine.dispose()
            return disk.read_only()

        until(only_reads)
        told(bench.train(), "cannot be used")
        assert bench.client.get("/healthz").status_code == 200
        assert bench.client.get("/readyz").status_code == 503
        disk.writable()
        assert bench.train().status_code == 202
        assert kept in bench.runs() and len(bench.runs()) == 2
        bench.parts.close()


def test_a_disk_that_is_full(make, tmp_path, capsys):
    with small_disk(tmp_path / "disk", 16) as disk:
        bench = make(ServiceSettings(data=disk.root / "d"))
        kept = bench.train("before").json()["run_id"]

        def upload(name):
            return bench.client.post(
                "/v1/files", files={"file": (name, name.encode() * 90_000)}, data={"purpose": "user_data"}
            )

        uploaded = upload("one.txt").json()["id"]
        disk.fill()
        told(bench.train(), "cannot be used: database or disk is full")
        refused = upload("two.txt")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "DISK_FULL")
        # Reading goes on, though not even the line that tells of it can be written.
        assert bench.runs() == [kept]
        assert bench.client.get(f"/v1/files/{uploaded}/content").content == b"one.txt" * 90_000
        ready = bench.client.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["disk"]) == (503, "it is nearly full")
        for _ in range(40):
            assert bench.runs() == [kept]
        assert "cannot be written: no space left" in capsys.readouterr().err
        disk.free()
        assert upload("two.txt").status_code == 200
        assert bench.train().status_code == 202
        assert kept in bench.runs() and len(bench.runs()) == 2
        assert not list(disk.root.rglob(".tmp-*"))
        # Events are written into the log as soon as there is room again, each whole and once.
        log = disk.root / "d" / "logs" / "system.log"
        wanted = {event["seq"] for event in bench.client.get("/events?limit=500").json()["events"]}

        def written():
            lines = [json.loads(line)["context"] for line in log.read_text().splitlines()]
            return [line["seq"] for line in lines if "seq" in line]

        until(lambda: wanted <= set(written()))
        assert len(written()) == len(set(written()))
        bench.parts.close()


@pytest.mark.parametrize("jump", [HOUR, -HOUR, YEAR, -YEAR])
def test_a_clock_that_jumps_changes_no_order_and_makes_nothing_twice(make, tmp_path, jump):
    clock = FakeClock()
    bench = make(ServiceSettings(data=tmp_path / "d", archive_runs=False), clock)
    first = bench.train("first").json()["run_id"]
    seen = bench.client.get("/events").json()["last_seq"]
    clock.advance(jump)
    second = bench.train("second").json()["run_id"]
    assert bench.runs() == [second, first]
    assert bench.train("first").json()["run_id"] == first
    behind = bench.client.get(f"/events?after={seen}").json()["events"]
    assert [event["run_id"] for event in behind if event["name"] == "job.queued.v1"] == [second]
    clock.advance(-jump)
    third = bench.train("third").json()["run_id"]
    assert bench.runs() == [third, second, first]
    claimed = [bench.parts.dispatcher._claims.claim(bench.parts.dispatcher._holder, ("run",)).id for _ in range(3)]
    assert claimed == [first, second, third]


def test_ten_thousand_runs_wait_in_their_order(make, tmp_path):
    bench = make(ServiceSettings(data=tmp_path / "d", archive_runs=False, max_queued_jobs=10_010))
    row = {"kind": "run", "spec": "{}", "spec_digest": "", "state": "queued", "created_at": 1.0, "updated_at": 1.0}
    with bench.parts.database.write() as connection:
        connection.execute(
            insert(jobs),
            [
                row | {"id": f"r-{number}", "run_id": f"r-{number}", "priority": int(number == 7000)}
                for number in range(10_000)
            ],
        )
    assert bench.train().status_code == 202
    claims, holder = bench.parts.dispatcher._claims, bench.parts.dispatcher._holder
    assert [claims.claim(holder, ("run",)).id for _ in range(3)] == ["r-7000", "r-0", "r-1"]
    page = bench.client.get("/runs?limit=200").json()
    assert len(page["runs"]) == 200 and page["runs"][1]["run_id"] == "r-9999"
    assert bench.client.post("/runs/r-5000/cancel").json()["state"] == "cancelled"


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_same_request_many_times_at_once_is_one_run(make, tmp_path, kind, request):
    bench = (
        request.getfixturevalue("on_postgresql") if kind == "postgresql" else make(ServiceSettings(data=tmp_path / "d"))
    )
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(bench.train())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {202}
    assert {answer.json()["run_id"] for answer in answers} == set(bench.runs())
    assert len(bench.runs()) == 1
