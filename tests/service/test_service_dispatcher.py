"""Whoever answers for a model says that they still do, and what was answered is kept though the database was away."""

import threading
import time

import pytest

from jobs_databases import fresh_database
from loquela.jobs.archivist import Archivist
from loquela.jobs.claims import Claims, Holder
from loquela.jobs.clock import FakeClock, SystemClock
from loquela.jobs.listing import Listing
from loquela.jobs.records import NewJob
from loquela.jobs.settings import ServiceSettings
from loquela.jobs.submissions import Submissions
from loquela.service.inference import dispatcher
from loquela.service.inference.dispatcher import Dispatcher
from loquela.worker.reaper import Reaper
from small_disk import held_by_another
from waiting import until

ELSEWHERE = Holder("elsewhere:1:1", "elsewhere", "boot")


class Pool:
    """A model that answers when it is let."""

    def __init__(self):
        self.asked, self.let = threading.Event(), threading.Event()
        self.count = 0

    def ask(self, folder, kind, spec):
        self.count += 1
        self.asked.set()
        assert self.let.wait(60)
        return {"result": {"outputs": ["Once"]}}

    def close_idle(self):
        pass


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setattr("loquela.jobs.database.BUSY_SECONDS", 0.1)
    monkeypatch.setattr(dispatcher, "WAIT_FOR_DATABASE_SECONDS", 0.05)
    settings = ServiceSettings(data=tmp_path / "data")
    (settings.data / "runs" / "run-1").mkdir(parents=True)
    with fresh_database("sqlite", tmp_path) as database:
        claims, pool = Claims(database, SystemClock(), lease_seconds=0.2), Pool()
        Submissions(database, SystemClock()).submit(NewJob(id="ask-1", kind="generate", run_id="run-1", spec={}))
        answering = Dispatcher(Archivist(settings, database, SystemClock()), claims, pool, ELSEWHERE)
        yield database, claims, pool, settings.data
        pool.let.set()
        answering.stop()


def test_an_answer_that_takes_longer_than_a_lease_is_nobody_elses(bench):
    database, claims, pool, data = bench
    assert pool.asked.wait(60)
    counted = FakeClock(0.0)
    reaper = Reaper(data, claims, counted)
    for _ in range(3):
        [before] = claims.held()
        assert reaper.reap() == []
        until(lambda before=before: claims.held()[0].job.lease_until != before.job.lease_until)
        counted.advance(10)
        assert reaper.reap() == []
    pool.let.set()
    until(lambda: Listing(database).get("ask-1").state == "succeeded")
    assert Listing(database).get("ask-1").result == {"outputs": ["Once"]}


def test_what_was_answered_while_the_database_was_away_is_kept_and_not_asked_again(bench, tmp_path):
    database, _, pool, _ = bench
    assert pool.asked.wait(60)
    with held_by_another(tmp_path / "jobs.db") as holder:
        pool.let.set()
        # Long enough for an end that was not written.
        time.sleep(0.5)
        assert Listing(database).get("ask-1").state != "succeeded"
        holder.kill()
        holder.wait()
        until(lambda: Listing(database).get("ask-1").state == "succeeded")
    assert pool.count == 1
