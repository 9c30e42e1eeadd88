"""A job that a worker puts back into the queue rings for the others, or is looked for when it is due."""

import pytest

from jobs_databases import fresh_database
from loquela.jobs.claims import Claims, Ended, Holder
from loquela.jobs.clock import FakeClock
from loquela.jobs.doorbell.polling import PollingDoorbell
from loquela.jobs.records import NewJob
from loquela.jobs.states import JobState, Reason
from loquela.jobs.submissions import Submissions
from loquela.worker.supervision import Supervision
from loquela.worker.worker import REAP_EVERY_SECONDS, Worker


class HeardDoorbell(PollingDoorbell):
    """Keeps what was rung, and how long its waiters were ready to wait."""

    def __init__(self):
        super().__init__()
        self.rung, self.waits = [], []

    def ring(self, job_id, fence):
        self.rung.append((job_id, fence))

    def wait(self, timeout_seconds):
        self.waits.append(timeout_seconds)
        self.left -= 1
        if self.left == 0:
            self.done()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def bell():
    return HeardDoorbell()


@pytest.fixture
def worker(tmp_path, clock, bell, monkeypatch):
    """One whose jobs end at once as `worker.ended` says."""
    with fresh_database("sqlite", tmp_path) as database:
        Submissions(database, clock).submit(NewJob(id="job-1", kind="run", run_id="job-1", spec={}))
        made = Worker(tmp_path, database, bell, clock=clock)
        monkeypatch.setattr(Supervision, "work", lambda self, job: made.claims.end(job, made.ended))
        yield made


def turns(worker, count):
    """`run`, stopped at its next wait but `count` - 1."""
    worker._stop.clear()
    worker._doorbell.left, worker._doorbell.done = count, worker._stop.set
    worker.run()


def test_a_job_that_goes_on_at_once_is_rung_for(worker, bell):
    worker.ended = Ended(JobState.INTERRUPTED, Reason.WORKER_SHUTDOWN)
    worker.work(worker.claims.claim(worker.holder))
    assert bell.rung == [("job-1", 1)]


def test_a_job_that_has_ended_rings_for_nobody(worker, bell):
    worker.ended = Ended(JobState.SUCCEEDED, Reason.FINISHED)
    turns(worker, 1)
    assert bell.rung == []
    assert bell.waits == [REAP_EVERY_SECONDS]


def test_a_job_that_is_tried_again_later_is_waited_for(worker, bell, clock):
    worker.ended = Ended(JobState.INTERRUPTED, Reason.RUN_LOCKED, retry_after_seconds=1.5)
    turns(worker, 1)
    assert bell.rung == []
    assert bell.waits == [1.5]
    clock.advance(1.5)
    worker.ended = Ended(JobState.SUCCEEDED, Reason.FINISHED)
    turns(worker, 2)
    assert bell.waits[1:] == [0.0, REAP_EVERY_SECONDS]


def test_a_job_of_a_worker_that_is_gone_is_rung_for(worker, bell, clock):
    gone = Claims(worker._database, clock)
    gone.claim(Holder("elsewhere:1:1", "elsewhere", "boot"))
    turns(worker, 1)
    clock.advance(31)
    turns(worker, 1)
    assert bell.rung == []
    assert bell.waits == [REAP_EVERY_SECONDS, pytest.approx(0.5)]
