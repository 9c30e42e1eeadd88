"""What is of one project is found within it and within all, and within no other, on every database."""

import pytest

from loquela.core.errors import RecipeError
from loquela.jobs.artifacts import Artifacts
from loquela.jobs.charts import Charts
from loquela.jobs.claims import Claims, Ended, Holder
from loquela.jobs.event_log import EventLog
from loquela.jobs.ingest import Ingester
from loquela.jobs.listing import Listing
from loquela.jobs.projects import owner_of
from loquela.jobs.records import NewJob
from loquela.jobs.requests import Requests
from loquela.jobs.states import JobState, Reason
from loquela.jobs.submissions import Submissions


@pytest.fixture
def submissions(database, clock):
    return Submissions(database, clock)


def submit(submissions, project, job_id, kind="run", run_id=None, **more):
    new = NewJob(id=job_id, kind=kind, run_id=run_id or job_id, spec={}, created_by=owner_of(project))
    return submissions.within(project).submit(new, **more)


@pytest.fixture
def made(submissions):
    """A run of each project, one of none, and a job on each."""
    for project, run in (("a", "run-a"), ("b", "run-b"), (None, "run-n")):
        submit(submissions, project, run)
        submit(submissions, project, f"eval-{run}", "evaluate", run)
    return submissions


def ids(jobs):
    return [job.id for job in jobs]


def test_jobs(made, database):
    listing = Listing(database)
    assert ids(listing.within("a").page().jobs) == ["eval-run-a", "run-a"]
    assert ids(listing.within("a").page(kind="run").jobs) == ["run-a"]
    assert ids(listing.within("a").page(run_id="run-b").jobs) == []
    assert listing.within("b").page(limit=1).next_before == listing.get("eval-run-b").seq
    assert len(listing.page().jobs) == len(listing.within(None).page().jobs) == 6
    assert listing.within("a").get("run-a").project == "a"
    for job in ("run-b", "run-n", "eval-run-b", "nothing"):
        with pytest.raises(RecipeError, match=f"there is no job '{job}'"):
            listing.within("a").get(job)
    assert listing.within("nobody").page().jobs == []


def test_a_job_on_a_run_is_of_its_runs_project(made, database):
    assert submit(made, None, "by-the-owner", "verify", "run-a").project == "a"
    assert submit(made, None, "on-no-run", "verify", "gone").project is None
    with pytest.raises(RecipeError, match="there is no job 'run-b'"):
        submit(made, "a", "on-anothers", "verify", "run-b")
    assert "on-anothers" not in ids(Listing(database).page().jobs)


def test_requests(made, database, clock):
    mine = Requests(database, clock).within("a")
    for verb in ("cancel", "pause", "resume"):
        with pytest.raises(RecipeError, match="there is no job 'run-b'"):
            getattr(mine, verb)("run-b")
    assert Listing(database).get("run-b").state is JobState.QUEUED
    assert mine.cancel("run-a").state is JobState.CANCELLED


def test_events_whoever_says_them(made, database, clock, tmp_path):
    """Of a request, a worker, the run itself, and of the service as a whole."""
    claims = Claims(database, clock)
    job = claims.claim(Holder("w", "h", "b"))
    assert job is not None and job.id == "run-a"
    claims.end(claims.started(job, pid=1), Ended(JobState.SUCCEEDED, Reason.FINISHED))
    (tmp_path / "events.jsonl").write_text(
        '{"id": "e1", "name": "stage.started.v1", "time": "2026-01-01T00:00:00Z", "data": {}}\n'
    )
    Ingester(database, clock).take("run-b", "run-b", tmp_path)
    log = EventLog(database, clock)
    log.append("service.settings_changed.v1")
    log.append("alert.triggered.v1", run_id="run-a")

    def told(project, **of):
        return [(event.name, event.run_id) for event in log.within(project).after(0, **of)]

    assert {run for _, run in told("a")} == {"run-a"}
    assert ("job.succeeded.v1", "run-a") in told("a") and ("alert.triggered.v1", "run-a") in told("a")
    assert ("stage.started.v1", "run-b") in told("b")
    assert told("a", run_id="run-b") == told("a", job_id="eval-run-b") == []
    assert ("service.settings_changed.v1", None) in told(None)
    assert len(told(None)) > len(told("a")) + len(told("b"))


def test_places_in_the_events(made, database, clock):
    log = EventLog(database, clock)
    theirs = log.after(0, run_id="run-b")[0]
    assert log.seq_of(theirs.id) == theirs.seq
    assert log.within("a").seq_of(theirs.id) is None
    assert log.within("a").before(None, job_id="run-b") == []
    assert log.within("a").last_seq() == log.after(0, run_id="run-a")[-1].seq < log.last_seq()
    assert log.within("nobody").last_seq() == 0


def test_numbers_of_runs(made, database):
    charts = Charts(database).within("a")
    assert (charts.keys("run-a"), charts.series("run-a", "loss").points) == ([], [])
    for ask in (lambda: charts.keys("run-b"), lambda: charts.series("run-b", "loss")):
        with pytest.raises(RecipeError, match="there is no job 'run-b'"):
            ask()
    assert Charts(database).keys("run-b") == []


def test_a_page_of_artifacts_of_a_project_with_few(made, database, clock):
    from loquela.artifacts.store.packing import Tarball
    from loquela.runs.stored.packing import StoredPart

    rows = Artifacts(database, clock, "")
    for run in ("run-a", "run-b", "run-n"):
        rows.add(run, [StoredPart("run", run, Tarball("d" * 64, 1, 1))], as_of=0.0)
    assert [each.run_id for each in rows.within("a").page(limit=1).artifacts] == ["run-a"]
    assert rows.within("a").page(limit=1).next_before is None
    assert rows.within("a").of_run("run-b") == []
    assert len(rows.page().artifacts) == 3
    with pytest.raises(RecipeError, match="there is no stored run 'run-b'"):
        rows.within("a").get("run", "run-b")


def test_one_idempotency_key_in_two_projects(submissions):
    first = submit(submissions, "a", "one", idempotency_key="k")
    assert submit(submissions, "b", "two", idempotency_key="k").id == "two"
    assert submit(submissions, "a", "three", idempotency_key="k").id == first.id == "one"
    assert submit(submissions, None, "four", idempotency_key="k").id == "four"
