"""What the jobs promise, on every database."""

import threading
import time

import pytest

from loquela.core.errors import ErrorCode, RecipeError
from loquela.jobs.changes import Superseded
from loquela.jobs.claims import CRASHES_ALLOWED, Claims, Ended, Holder
from loquela.jobs.event_log import EventLog, append_event
from loquela.jobs.listing import Listing
from loquela.jobs.records import JobError, NewJob
from loquela.jobs.requests import Requests
from loquela.jobs.states import JobState, Reason
from loquela.jobs.submissions import Submissions

HOLDER = Holder("worker-1", "here", "boot")
OTHER = Holder("worker-2", "here", "boot")


@pytest.fixture
def submissions(database, clock):
    return Submissions(database, clock)


@pytest.fixture
def claims(database, clock):
    return Claims(database, clock)


@pytest.fixture
def requests(database, clock):
    return Requests(database, clock)


def new(job_id="job-1", **changes):
    return NewJob(**{"id": job_id, "kind": "run", "run_id": job_id, "spec": {"recipe": "x"}, **changes})


def names(database, clock):
    return [event.name for event in EventLog(database, clock).after(0)]


def test_a_job_from_request_to_end(database, clock, submissions, claims):
    submitted = submissions.submit(new())
    assert (submitted.state, submitted.fence, submitted.attempt) == (JobState.QUEUED, 0, 0)
    job = claims.claim(HOLDER)
    assert job is not None
    assert (job.state, job.fence, job.attempt, job.lease_owner) == (JobState.STARTING, 1, 1, "worker-1")
    assert claims.claim(OTHER) is None
    job = claims.started(job, pid=7)
    assert job.state is JobState.RUNNING
    clock.advance(5)
    beaten = claims.heartbeat(job, {"step": 3, "loss": float("nan")}, advanced=True)
    assert beaten.lease_until == clock.now() + claims.lease_seconds
    assert beaten.progress["step"] == 3
    assert str(beaten.progress["loss"]) == "nan"
    assert beaten.progress_at == clock.now()
    done = claims.end(job, Ended(JobState.SUCCEEDED, Reason.FINISHED, result={"loss": 1.5}))
    assert (done.state, done.reason, done.message) == (JobState.SUCCEEDED, Reason.FINISHED, "It finished.")
    assert (done.lease_owner, done.result, done.ended_at) == (None, {"loss": 1.5}, clock.now())
    assert names(database, clock) == ["job.queued.v1", "job.starting.v1", "job.running.v1", "job.succeeded.v1"]


def test_the_same_request_twice_is_one_job_and_another_one_is_refused(submissions, database):
    first = submissions.submit(new("job-1"), idempotency_key="k", request={"a": 1})
    again = submissions.submit(new("job-2"), idempotency_key="k", request={"a": 1})
    assert again.id == first.id
    assert len(Listing(database).page().jobs) == 1
    with pytest.raises(RecipeError, match="was used for another request, which made job-1"):
        submissions.submit(new("job-3"), idempotency_key="k", request={"a": 2})
    other = submissions.submit(new("job-4", created_by="somebody"), idempotency_key="k", request={"a": 2})
    assert other.id == "job-4"


def test_higher_priority_goes_first_then_the_oldest(submissions, claims):
    for name, priority in (("job-1", 0), ("job-2", 5), ("job-3", 5)):
        submissions.submit(new(name, priority=priority))
    taken = [claims.claim(HOLDER) for _ in range(3)]
    assert [job.id for job in taken if job] == ["job-2", "job-3", "job-1"]


def test_a_worker_takes_only_what_it_can_do(submissions, claims):
    submissions.submit(new("job-1"))
    submissions.submit(new("job-2", kind="generate", run_id="job-1"))
    taken = claims.claim(HOLDER, kinds=("generate", "score"))
    assert taken is not None
    assert taken.id == "job-2"
    assert claims.claim(HOLDER, kinds=("generate", "score")) is None


def test_a_job_waits_for_what_is_done_on_its_run_and_was_asked_for_before_it(clock, submissions, claims, requests):
    submissions.submit(new("job-1"))
    submissions.submit(new("job-2", kind="evaluate", run_id="job-1", priority=9))
    submissions.submit(new("job-3", kind="verify", run_id="job-1"))
    submissions.submit(new("job-4"))
    submissions.submit(new("job-5", kind="score", run_id="job-1"))
    first = claims.claim(HOLDER)
    assert first.id == "job-1"
    assert claims.claim(OTHER).id == "job-4"
    assert claims.claim(OTHER).id == "job-5"
    assert claims.claim(OTHER) is None
    claims.end(first, Ended(JobState.INTERRUPTED, Reason.INTERNAL))
    assert claims.claim(OTHER) is None
    clock.advance(100)
    again = claims.claim(OTHER)
    assert again.id == "job-1"
    claims.end(again, Ended(JobState.SUCCEEDED, Reason.FINISHED))
    second = claims.claim(HOLDER)
    assert second.id == "job-2"
    assert claims.claim(OTHER) is None
    requests.cancel("job-2")
    claims.end(second, Ended(JobState.INTERRUPTED, Reason.USER))
    assert claims.claim(OTHER).id == "job-3"


@pytest.mark.parametrize(
    ("verb", "during", "after"), [("pause", "pausing", "paused"), ("cancel", "cancelling", "cancelled")]
)
def test_a_running_job_is_stopped_by_its_trainer_and_goes_on_when_resumed(
    verb, during, after, submissions, claims, requests
):
    submissions.submit(new())
    job = claims.started(claims.claim(HOLDER), pid=7)
    assert getattr(requests, verb)("job-1").state == during
    assert getattr(requests, verb)("job-1").state == during
    assert claims.heartbeat(job, None, advanced=False).state == during
    stopped = claims.end(job, Ended(JobState.INTERRUPTED, Reason.USER, message="saved at step 5"))
    assert (stopped.state, stopped.reason) == (after, Reason.USER)
    assert requests.resume("job-1").state is JobState.QUEUED
    assert requests.resume("job-1").state is JobState.QUEUED
    again = claims.claim(OTHER)
    assert again is not None
    assert (again.fence, again.attempt) == (2, 2)


@pytest.mark.parametrize(("verb", "after"), [("pause", "paused"), ("cancel", "cancelled")])
def test_a_queued_job_is_stopped_at_once(verb, after, submissions, claims, requests):
    submissions.submit(new())
    assert getattr(requests, verb)("job-1").state == after
    assert claims.claim(HOLDER) is None


def test_a_job_that_finished_first_is_not_cancelled(submissions, claims, requests):
    submissions.submit(new())
    job = claims.started(claims.claim(HOLDER), pid=7)
    requests.cancel("job-1")
    assert claims.end(job, Ended(JobState.SUCCEEDED, Reason.FINISHED)).state is JobState.SUCCEEDED
    with pytest.raises(RecipeError, match="job-1 is succeeded and cannot be asked to cancel"):
        requests.cancel("job-1")
    with pytest.raises(RecipeError, match="job-1 is succeeded and cannot be asked to resume"):
        requests.resume("job-1")


def test_a_failed_job_says_why_and_can_be_resumed(submissions, claims, requests):
    submissions.submit(new())
    error = JobError(code=ErrorCode.OOM, message="out of memory at step 3", remedy="lower train.batch_size")
    job = claims.end(claims.claim(HOLDER), Ended(JobState.FAILED, Reason.OUT_OF_MEMORY, error=error))
    assert (job.state, job.reason, job.error) == (JobState.FAILED, Reason.OUT_OF_MEMORY, error)
    assert requests.resume("job-1").error is None


def test_a_lost_worker_loses_its_job_and_can_write_nothing_more(database, clock, submissions, claims):
    submissions.submit(new())
    job = claims.started(claims.claim(HOLDER), pid=7)
    claims.heartbeat(job, {"step": 4}, advanced=True)
    [lost] = [held.job for held in claims.held()]
    assert lost.id == "job-1"
    taken = claims.take_from_the_lost(lost)
    assert taken is not None
    assert (taken.state, taken.reason, taken.crashes) == (JobState.QUEUED, Reason.LOST_LEASE, 1)
    assert claims.take_from_the_lost(lost) is None
    clock.advance(60)
    second = claims.claim(OTHER)
    assert second is not None
    assert second.fence == 2
    with pytest.raises(Superseded):
        claims.heartbeat(job, {"step": 99}, advanced=True)
    with pytest.raises(Superseded):
        claims.end(job, Ended(JobState.SUCCEEDED, Reason.FINISHED))
    assert Listing(database).get("job-1").progress == {"step": 4}


def test_a_lease_that_was_renewed_is_not_lost(clock, submissions, claims):
    submissions.submit(new())
    job = claims.claim(HOLDER)
    clock.advance(claims.lease_seconds + 1)
    [seen] = [held.job for held in claims.held()]
    claims.heartbeat(job, None, advanced=False)
    assert claims.take_from_the_lost(seen) is None


@pytest.mark.parametrize(("verb", "after"), [("pause", "paused"), ("cancel", "cancelled")])
def test_what_was_asked_of_a_lost_worker_is_done(verb, after, clock, submissions, claims, requests):
    submissions.submit(new())
    claims.started(claims.claim(HOLDER), pid=7)
    getattr(requests, verb)("job-1")
    clock.advance(claims.lease_seconds + 1)
    taken = claims.take_from_the_lost(claims.held()[0].job)
    assert taken is not None
    assert taken.state == after


def test_a_job_that_dies_at_the_same_place_again_and_again_is_left(clock, submissions, claims):
    submissions.submit(new())
    for number in range(CRASHES_ALLOWED):
        clock.advance(1000)
        job = claims.started(claims.claim(HOLDER), pid=7)
        claims.heartbeat(job, {"step": 4}, advanced=False)
        ended = claims.end(job, Ended(JobState.INTERRUPTED, Reason.INTERNAL))
        expected = JobState.FAILED if number == CRASHES_ALLOWED - 1 else JobState.QUEUED
        assert ended.state is expected
    assert ended.reason is Reason.CRASH_LOOP
    assert "again and again" in ended.message


def test_a_job_that_gets_further_each_time_is_tried_for_ever(clock, submissions, claims):
    submissions.submit(new())
    for step in range(1, 3 * CRASHES_ALLOWED):
        clock.advance(1000)
        job = claims.started(claims.claim(HOLDER), pid=7)
        claims.heartbeat(job, {"step": step}, advanced=True)
        assert claims.end(job, Ended(JobState.INTERRUPTED, Reason.INTERNAL)).state is JobState.QUEUED


def test_a_crashed_job_waits_longer_each_time_and_a_shut_down_one_not_at_all(clock, submissions, claims):
    submissions.submit(new())
    job = claims.claim(HOLDER)
    assert claims.end(job, Ended(JobState.INTERRUPTED, Reason.WORKER_SHUTDOWN)).not_before == 0
    job = claims.claim(HOLDER)
    waits = claims.end(job, Ended(JobState.INTERRUPTED, Reason.INTERNAL)).not_before - clock.now()
    assert waits == pytest.approx(0.5)
    assert claims.claim(HOLDER) is None
    clock.advance(0.6)
    job = claims.claim(HOLDER)
    assert job is not None
    assert claims.end(job, Ended(JobState.INTERRUPTED, Reason.INTERNAL)).not_before - clock.now() == pytest.approx(1.0)


def test_events_are_followed_by_number(database, clock, submissions, claims):
    submissions.submit(new("job-1"))
    log = EventLog(database, clock)
    seen = log.last_seq()
    submissions.submit(new("job-2"))
    claims.claim(HOLDER)
    assert [(event.job_id, event.name) for event in log.after(seen)] == [
        ("job-2", "job.queued.v1"),
        ("job-1", "job.starting.v1"),
    ]
    assert [event.name for event in log.after(0, job_id="job-1")] == ["job.queued.v1", "job.starting.v1"]
    assert [event.name for event in log.before(None, job_id="job-1", limit=1)] == ["job.starting.v1"]
    log.append("service.started.v1", data={"port": 1})
    assert log.after(log.last_seq() - 1)[0].data == {"port": 1}


def test_pages_hold_everything_once_newest_first(database, submissions):
    for number in range(7):
        submissions.submit(new(f"job-{number}"))
    listing = Listing(database)
    first = listing.page(limit=3)
    second = listing.page(limit=3, before=first.next_before)
    third = listing.page(limit=3, before=second.next_before)
    seen = [job.id for page in (first, second, third) for job in page.jobs]
    assert seen == [f"job-{number}" for number in reversed(range(7))]
    assert third.next_before is None
    assert listing.page(states=(JobState.RUNNING,)).jobs == []
    assert [job.id for job in listing.page(run_id="job-3").jobs] == ["job-3"]


def test_an_unknown_job_is_named(database):
    with pytest.raises(RecipeError, match="there is no job 'nothing'"):
        Listing(database).get("nothing")


def test_whoever_follows_the_events_never_meets_one_before_another_with_a_lower_number(database, clock):
    log, seen, order = EventLog(database, clock), [], []
    begun, done = threading.Event(), threading.Event()

    def slow():
        with database.write() as connection:
            append_event(connection, "slow.v1", at=0.0)
            begun.set()
            time.sleep(0.4)

    def quick():
        begun.wait()
        log.append("quick.v1")
        done.set()

    threads = [threading.Thread(target=slow), threading.Thread(target=quick)]
    for thread in threads:
        thread.start()
    while not done.is_set() or len(seen) < 2:
        found = log.after(seen[-1] if seen else 0)
        seen += [event.seq for event in found]
        order += [event.name for event in found]
    for thread in threads:
        thread.join()
    assert order == ["slow.v1", "quick.v1"]
