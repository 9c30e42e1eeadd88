"""A job whose worker is gone is taken back, and no other: whatever the clocks of all machines say."""

import os
import sys
from pathlib import Path
from subprocess import Popen

import pytest

from jobs_databases import fresh_database
from loquela.jobs.claims import Claims, Holder
from loquela.jobs.clock import FakeClock
from loquela.jobs.process_facts import boot_id, host_name, worker_name
from loquela.jobs.records import NewJob
from loquela.jobs.submissions import Submissions
from loquela.runs.lock import RunLock
from loquela.worker.reaper import Reaper

HOUR, YEAR = 3600.0, 31_536_000.0


class Bench:
    def __init__(self, data: Path, database) -> None:
        self.data, self.database = data, database
        self.wall, self.counted = FakeClock(), FakeClock(0.0)
        self.claims = Claims(database, self.wall)
        self.reaper = Reaper(data, self.claims, self.counted)

    def claim(self, holder, kind="run"):
        Submissions(self.database, self.wall).submit(NewJob(id="job-1", kind=kind, run_id="run-1", spec={}))
        return self.claims.claim(holder)

    def pass_seconds(self, seconds):
        self.wall.advance(seconds)
        self.counted.advance(seconds)


@pytest.fixture
def bench(tmp_path):
    with fresh_database("sqlite", tmp_path) as database:
        yield Bench(tmp_path, database)


ELSEWHERE = Holder("elsewhere:1:1", "elsewhere", "boot")


@pytest.mark.parametrize("jump", [0.0, HOUR, -HOUR, YEAR, -YEAR])
def test_a_worker_elsewhere_is_gone_when_it_was_silent_for_a_lease(bench, jump):
    job = bench.claim(ELSEWHERE)
    assert bench.reaper.reap() == []
    bench.wall.advance(jump)
    assert bench.reaper.reap() == []
    bench.pass_seconds(29)
    assert bench.reaper.reap() == []
    bench.pass_seconds(2)
    [taken] = bench.reaper.reap()
    assert (taken.state, taken.reason) == ("queued", "lost_lease")
    # Whatever time it is then, it is tried again at once, and its old worker can write nothing more.
    bench.wall.advance(-jump)
    bench.pass_seconds(1)
    again = bench.claims.claim(ELSEWHERE)
    assert again.fence == job.fence + 1


@pytest.mark.parametrize("behind", [0.0, HOUR, -HOUR, YEAR, -YEAR])
def test_a_worker_elsewhere_that_beats_keeps_its_job_however_wrong_its_clock_is(bench, behind):
    there = Claims(bench.database, FakeClock(bench.wall.now() - behind))
    Submissions(bench.database, bench.wall).submit(NewJob(id="job-1", kind="run", run_id="run-1", spec={}))
    job = there.claim(ELSEWHERE)
    for _ in range(4):
        assert bench.reaper.reap() == []
        bench.pass_seconds(20)
        there._clock.advance(20)
        job = there.heartbeat(job, None, advanced=True)
    assert bench.reaper.reap() == []


def test_a_longer_lease_that_a_worker_elsewhere_has_is_waited_for(bench):
    patient = Claims(bench.database, bench.wall, lease_seconds=300)
    Submissions(bench.database, bench.wall).submit(NewJob(id="job-1", kind="run", run_id="run-1", spec={}))
    patient.claim(ELSEWHERE)
    bench.reaper.reap()
    bench.pass_seconds(299)
    assert bench.reaper.reap() == []
    bench.pass_seconds(2)
    assert len(bench.reaper.reap()) == 1


def dead_here() -> Holder:
    process = Popen([sys.executable, "-c", ""])
    process.wait()
    return Holder(f"{host_name()}:{process.pid}:1", host_name(), boot_id())


@pytest.mark.parametrize("jump", [HOUR, -HOUR, YEAR, -YEAR])
def test_a_worker_of_this_machine_that_is_dead_is_not_waited_for_and_one_that_lives_keeps_its_job(bench, jump):
    job = bench.claim(Holder(worker_name(), host_name(), boot_id()))
    bench.wall.advance(jump)
    bench.counted.advance(HOUR)
    assert bench.reaper.reap() == []
    bench.claims.take_from_the_lost(job)
    bench.pass_seconds(1)
    bench.claims.claim(dead_here())
    assert len(bench.reaper.reap()) == 1


def test_an_orphan_keeps_its_run_and_nobody_elses_request(bench):
    run = bench.data / "runs" / "run-1"
    run.mkdir(parents=True)
    bench.claim(dead_here())
    with RunLock(run):
        assert bench.reaper.reap() == []
        Submissions(bench.database, bench.wall).submit(NewJob(id="ask-1", kind="generate", run_id="run-1", spec={}))
        bench.claims.claim(dead_here(), ("generate",))
        assert [job.id for job in bench.reaper.reap()] == ["ask-1"]
    assert [job.id for job in bench.reaper.reap()] == ["job-1"]
    assert os.listdir(run) == ["run.lock"]


def test_a_time_to_wait_that_a_wrong_clock_gave_is_not_waited_for(bench):
    bench.wall.advance(YEAR)
    bench.claims.take_from_the_lost(bench.claim(ELSEWHERE))
    assert bench.claims.claim(ELSEWHERE) is None
    bench.wall.advance(-YEAR)
    assert bench.claims.claim(ELSEWHERE) is not None
