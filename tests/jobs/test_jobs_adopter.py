"""Runs of the command line: seen, followed to their end, resumed as jobs; whatever was done to their folders."""

import json
import os
import uuid
from datetime import UTC, datetime

import pytest

from loquela.core.errors import ErrorCode, RecipeError, ResourceError
from loquela.jobs.adopter import LABELS, Adopter
from loquela.jobs.charts import Charts
from loquela.jobs.claims import Claims, Ended, Holder
from loquela.jobs.event_log import EventLog
from loquela.jobs.listing import Listing
from loquela.jobs.records import NewJob
from loquela.jobs.requests import Requests
from loquela.jobs.states import JobState, Reason
from loquela.jobs.submissions import Submissions
from loquela.monitoring.events import Event
from loquela.recipe.schema import Recipe
from loquela.runs.lock import RunLock
from loquela.runs.manifest import TrainingRunManifest
from loquela.runs.status import ErrorDetails, Phase, PipelineStatus


@pytest.fixture
def runs(tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def adopter(tmp_path, database, clock):
    return Adopter(tmp_path, database, clock)


@pytest.fixture
def get(database):
    return Listing(database).get


def make(runs, name, *phases, **changes):
    """A run's folder as the command line leaves it, in the last of `phases`."""
    folder = runs / name
    folder.mkdir(exist_ok=True)
    status = PipelineStatus(run_id=name, **changes)
    for phase in phases:
        if phase is Phase.FAILED:
            kind, code = ("oom", "OOM") if changes.get("message") == "oom" else ("other", "DATA_NOT_FOUND")
            details = ErrorDetails(failed_phase=status.current_phase, error_type=kind, error_message="no text",
                                   code=code, remedy="give some")  # fmt: skip
            status.fail(details)
        else:
            status.advance(phase)
    status.save(folder)
    if not (folder / "manifest.json").is_file():
        recipe = Recipe.model_validate({"name": "tiny", "data": {"sources": ["/somewhere/story.txt"]}})
        manifest = TrainingRunManifest(run_id=name, pipeline_id=uuid.uuid4(), recipe=recipe, seed=1, versions={},
                                       hardware={}, failure_class="USER_INPUT")  # fmt: skip
        manifest.save(folder)
    return folder


def complete(runs, name):
    folder = make(runs, name)
    status = PipelineStatus(run_id=name, progress={"step": 9})
    status.complete()
    status.save(folder)
    return folder


def tell(folder, *losses):
    with (folder / "metrics.jsonl").open("a") as metrics, (folder / "events.jsonl").open("a") as events:
        for step, loss in enumerate(losses, 1):
            metrics.write(json.dumps({"step": step, "loss": loss}) + "\n")
            events.write(Event(name="trainer.metrics.progress.v1", data={"step": step}).model_dump_json() + "\n")


def test_a_finished_run_is_seen_with_its_numbers_and_events(runs, adopter, database, clock, get):
    tell(complete(runs, "tiny-1"), 3.0, 2.0)
    assert adopter.look() == 1
    job = get("tiny-1")
    assert (job.kind, job.run_id, job.state, job.reason) == ("run", "tiny-1", JobState.SUCCEEDED, Reason.FINISHED)
    assert (job.message, job.labels, job.lease_owner, job.fence) == ("It finished.", LABELS, None, 0)
    assert job.progress["step"] == 9
    assert job.spec["recipe"]["data"]["sources"] == ["/somewhere/story.txt"]
    assert job.ended_at is not None
    assert Charts(database).series("tiny-1", "loss").points_total == 2
    names = [event.name for event in EventLog(database, clock).after(0, run_id="tiny-1")]
    assert names == ["job.adopted.v1", "trainer.metrics.progress.v1", "trainer.metrics.progress.v1"]
    assert adopter.look() == 0
    assert Adopter(runs.parent, database, clock).look() == 1
    assert len(EventLog(database, clock).after(0, run_id="tiny-1")) == 3


def test_a_run_is_followed_from_its_lock_to_its_end(runs, adopter, database, clock, get):
    folder = make(runs, "tiny-1", Phase.CORPUS_DOWNLOAD)
    with RunLock(folder):
        adopter.look()
        assert (get("tiny-1").state, get("tiny-1").reason) == (JobState.RUNNING, None)
        tell(folder, 3.0)
        make(runs, "tiny-1", Phase.CORPUS_DOWNLOAD, Phase.TOKENIZER_TRAINING, progress={"step": 1})
        os.utime(folder / "status.json", (2e9, 2e9))
        assert adopter.look() == 1
        job = get("tiny-1")
        assert (job.progress["step"], job.progress_at) == (1, 2e9)
        for verb in ("cancel", "pause"):
            with pytest.raises(RecipeError, match="tiny-1 was started on the command line, and no worker"):
                getattr(Requests(database, clock), verb)("tiny-1")
    adopter.look()
    job = get("tiny-1")
    assert (job.state, job.reason) == (JobState.INTERRUPTED, Reason.LOST_LEASE)
    assert job.message == "Nobody works on it any more; it may be resumed."
    with RunLock(folder):
        adopter.look()
        assert get("tiny-1").state is JobState.RUNNING
    complete(runs, "tiny-1")
    adopter.look()
    assert get("tiny-1").state is JobState.SUCCEEDED
    told = [event.name for event in EventLog(database, clock).after(0, job_id="tiny-1") if event.name[:4] == "job."]
    way = ("adopted", "interrupted", "queued", "starting", "running", "succeeded")
    assert told == [f"job.{state}.v1" for state in way]


def test_why_a_run_stopped_is_shown(runs, adopter, get):
    make(runs, "failed-1", Phase.FAILED)
    make(runs, "oom-1", Phase.FAILED, message="oom")
    make(runs, "stopped-1", message="stopped by SIGINT; everything finished so far is kept")
    ended = make(runs, "until-1", message="stopped after tokenizer, as asked")
    manifest = TrainingRunManifest.model_validate_json((ended / "manifest.json").read_bytes())
    manifest.ended = datetime.now(UTC)
    manifest.save(ended)
    adopter.look()
    failed = get("failed-1")
    assert (failed.state, failed.reason, failed.error.code) == (JobState.FAILED, Reason.DATA_ERROR, "DATA_NOT_FOUND")
    assert (failed.message, failed.error.remedy) == ("no text", "give some")
    assert get("oom-1").reason is Reason.OUT_OF_MEMORY
    assert (get("stopped-1").state, get("stopped-1").reason) == (JobState.INTERRUPTED, Reason.USER)
    assert (get("until-1").state, get("until-1").message) == (JobState.PAUSED, "stopped after tokenizer, as asked")


def test_a_run_that_is_resumed_here_is_a_job_like_any_other(runs, adopter, database, clock, get):
    folder = make(runs, "tiny-1", Phase.FAILED)
    adopter.look()
    assert Requests(database, clock).resume("tiny-1").state is JobState.QUEUED
    complete(runs, "tiny-1")
    assert adopter.look() == 0
    claims = Claims(database, clock)
    job = claims.claim(Holder("w", "h", "b"))
    assert (job.id, job.fence) == ("tiny-1", 1)
    tell(folder, 3.0)
    with RunLock(folder):
        assert adopter.look() == 0
    claims.end(job, Ended(JobState.FAILED, Reason.DATA_ERROR))
    assert adopter.look() == 0
    assert get("tiny-1").state is JobState.FAILED


def test_runs_that_a_row_knows_are_left_alone(runs, adopter, database, clock, get):
    Submissions(database, clock).submit(NewJob(id="tiny-1", kind="run", run_id="tiny-1", spec={}))
    Submissions(database, clock).submit(NewJob(id="tok-1", kind="tokenizer", run_id="tok-1", spec={}))
    complete(runs, "tiny-1")
    complete(runs, "tok-1")
    assert adopter.look() == 0
    assert get("tiny-1").state is JobState.QUEUED


def damage(folder, how):
    status = folder / "status.json"
    if how == "cut":
        status.write_bytes(status.read_bytes()[:40])
    elif how == "garbage":
        status.write_bytes(os.urandom(500))
    elif how == "other json":
        status.write_text('{"phase": 7}')
    elif how == "deep":
        status.write_text("[" * 100_000)
    elif how == "empty":
        status.write_text("")


@pytest.mark.parametrize("how", ["cut", "garbage", "other json", "deep", "empty"])
def test_a_damaged_status_is_told_and_heals(how, runs, adopter, get):
    damage(complete(runs, "tiny-1"), how)
    adopter.look()
    job = get("tiny-1")
    assert (job.state, job.reason, job.error.code) == (JobState.FAILED, Reason.DATA_ERROR, "CORRUPTION")
    assert job.error.remedy
    complete(runs, "tiny-1")
    adopter.look()
    assert (get("tiny-1").state, get("tiny-1").error) == (JobState.SUCCEEDED, None)


@pytest.mark.parametrize("content", [None, "{", "[1]", "[" * 100_000])
def test_a_run_without_a_manifest_is_seen_and_says_that_nobody_knows_its_recipe(content, runs, adopter, get):
    folder = make(runs, "tiny-1")
    if content is None:
        (folder / "manifest.json").unlink()
    else:
        (folder / "manifest.json").write_text(content)
    tell(folder, 1.0)
    (folder / "metrics.jsonl").write_bytes(b"\xff\xfe{}\n[]\n" + b"[" * 100_000 + b"\n")
    (folder / "events.jsonl").write_bytes(b"\xff\n{}\n" + b"[" * 100_000 + b"\n")
    adopter.look()
    assert get("tiny-1").state is JobState.INTERRUPTED
    assert get("tiny-1").spec == {"recipe": None, "until": None}


def test_what_a_status_says_may_be_strange(runs, adopter, get):
    folder = make(runs, "tiny-1", message="stop\0ped", start_time="0001-01-01T00:00:00", progress={"a\0": "\0"})
    (folder / "metrics.jsonl").write_text('{"step": 1, "\\ud800": 2, "loss": 3.0}\n')
    adopter.look()
    assert (get("tiny-1").message, get("tiny-1").state) == ("stopped", JobState.INTERRUPTED)
    assert get("tiny-1").created_at == get("tiny-1").progress_at


def test_a_run_that_cannot_be_written_down_keeps_no_other_from_it(runs, adopter, get, monkeypatch):
    for name in ("tiny-1", "tiny-2", "tiny-3"):
        complete(runs, name)
    adopt = Adopter._adopt

    def refused(self, connection, run_id, found, recipe):
        if run_id == "tiny-2":
            raise ResourceError(ErrorCode.PERSISTENCE_FAILED, "cannot be held", "mend it")
        adopt(self, connection, run_id, found, recipe)

    monkeypatch.setattr(Adopter, "_adopt", refused)
    with pytest.raises(ResourceError, match="cannot be held"):
        adopter.look()
    monkeypatch.undo()
    assert get("tiny-3").state is JobState.SUCCEEDED
    assert adopter.look() == 1
    assert get("tiny-2").state is JobState.SUCCEEDED


def test_what_is_no_run_is_passed_over(runs, adopter, database, tmp_path):
    elsewhere = complete(tmp_path, "elsewhere")
    (runs / "link-1").symlink_to(elsewhere)
    (runs / "file-1").write_text("x")
    (runs / "empty-1").mkdir()
    complete(runs, ".tmp-1")
    complete(runs, "a b")
    (make(runs, "linked-1") / "status.json").unlink()
    (runs / "linked-1" / "status.json").symlink_to(elsewhere / "status.json")
    (make(runs, "folder-1") / "status.json").unlink()
    (runs / "folder-1" / "status.json").mkdir()
    assert adopter.look() == 0
    assert Listing(database).page().jobs == []


def test_a_folder_that_goes_away_leaves_its_row_as_it_was(runs, adopter, get):
    folder = complete(runs, "tiny-1")
    adopter.look()
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert adopter.look() == 0
    assert get("tiny-1").state is JobState.SUCCEEDED


def test_no_folder_of_runs_is_no_fault(tmp_path, database, clock):
    assert Adopter(tmp_path / "nowhere", database, clock).look() == 0
