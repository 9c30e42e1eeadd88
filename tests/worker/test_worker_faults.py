"""The database or the disk goes away under a worker: what was done is done once, and what could not be done waits."""

import os
import subprocess
import sys
import threading

import pytest

from jobs_databases import fresh_database
from loquela.core.atomic import append_line
from loquela.jobs.claims import Claims, Holder
from loquela.jobs.clock import SystemClock
from loquela.jobs.event_log import EventLog
from loquela.jobs.ingest import Ingester
from loquela.jobs.listing import Listing
from loquela.jobs.process_facts import boot_id, host_name, worker_name
from loquela.jobs.records import NewJob
from loquela.jobs.requests import Requests
from loquela.jobs.submissions import Submissions
from loquela.monitoring.events import Event
from loquela.worker import supervision
from loquela.worker.child import DISK_FULL
from loquela.worker.child_process import ChildProcess
from loquela.worker.folders import prepare_folder
from loquela.worker.supervision import Supervision
from small_disk import held_by_another, small_disk

CLOCK = SystemClock()


class Bench:
    """One job that soon ends, and who works on it: a proof of a run that is not there."""

    def __init__(self, data, database):
        self.data, self.database = data, database
        self.claims = Claims(database, CLOCK)
        self.stopping = False
        self.supervision = Supervision(
            data, self.claims, Ingester(database, CLOCK), beat_seconds=0.1, grace_seconds=60,
            shutting_down=lambda: self.stopping,
        )  # fmt: skip

    def claimed(self):
        Submissions(self.database, CLOCK).submit(NewJob(id="job-1", kind="verify", run_id="run-1", spec={}))
        job = self.claims.claim(Holder(worker_name(), host_name(), boot_id()))
        assert job is not None
        return job

    def job(self):
        return Listing(self.database).get("job-1")


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setattr("loquela.jobs.database.BUSY_SECONDS", 0.1)
    monkeypatch.setattr(supervision, "AWAY_SECONDS", 0.05)
    (tmp_path / "data").mkdir()
    with fresh_database("sqlite", tmp_path) as database:
        yield Bench(tmp_path / "data", database)


def test_a_database_that_is_away_at_the_end_hears_of_it_later_and_nothing_is_done_twice(bench, tmp_path, monkeypatch):
    job = bench.claimed()
    with held_by_another(tmp_path / "jobs.db") as holder:
        ended_at = []
        real = bench.claims.end

        def end(*given, **more):
            ended_at.append(1)
            if len(ended_at) == 3:
                holder.kill()
                holder.wait()
            return real(*given, **more)

        monkeypatch.setattr(bench.claims, "end", end)
        done = bench.supervision.work(job)
    assert len(ended_at) >= 3
    assert done is not None and (done.state, done.attempt) == ("failed", 1)
    assert done.error is not None and done.error.code == "RUN_NOT_FOUND"


def test_what_was_written_last_is_taken_in_before_the_end_is_told(bench, tmp_path, monkeypatch):
    job = bench.claimed()
    last_word = Event(name="verify.last_word.v1")
    with held_by_another(tmp_path / "jobs.db") as holder:
        judge = supervision.judge

        def judged(code, folder, **more):
            append_line(folder / "events.jsonl", last_word.model_dump_json())
            threading.Timer(0.7, holder.kill).start()
            return judge(code, folder, **more)

        monkeypatch.setattr(supervision, "judge", judged)
        assert bench.supervision.work(job).state == "failed"
    told = EventLog(bench.database, CLOCK).after(0)
    assert [event.name for event in told][-2:] == [last_word.name, "job.failed.v1"]


def test_a_worker_that_is_asked_to_stop_does_not_wait_for_the_database(bench, tmp_path):
    job = bench.claimed()
    bench.stopping = True
    with held_by_another(tmp_path / "jobs.db"), pytest.raises(Exception, match="database is locked"):
        bench.supervision.work(job)
    # Its job is still its own; whoever comes next finds it.
    assert bench.job().state == "starting"


def test_a_full_disk_pauses_a_job_that_could_not_begin_and_it_is_resumed(bench, tmp_path):
    with small_disk(tmp_path / "disk", 4) as disk:
        on_disk = Bench(disk.root, bench.database)
        job = on_disk.claimed()
        disk.fill()
        paused = on_disk.supervision.work(job)
        assert (paused.state, paused.reason, paused.error.code) == ("paused", "disk_full", "DISK_FULL")
        assert "the job's process could not be started: no space left" in paused.error.message
        assert "then resume it" in paused.error.remedy
        disk.free()
        Requests(bench.database, CLOCK).resume("job-1")
        done = on_disk.supervision.work(on_disk.claims.claim(Holder("w", "h", "b")))
        assert (done.state, done.error.code) == ("failed", "RUN_NOT_FOUND")


def test_a_disk_too_full_for_the_error_itself_is_still_said_to_be_full(bench, tmp_path, monkeypatch):
    with small_disk(tmp_path / "disk", 4) as disk:
        on_disk = Bench(disk.root, bench.database)
        job = on_disk.claimed()
        folder = prepare_folder(disk.root, job)
        (folder / "output.log").touch()
        disk.fill()
        command = [sys.executable, "-m", "loquela.worker.child", str(folder), str(os.getpid()), "60"]
        assert subprocess.run(command, check=False, timeout=60).returncode == DISK_FULL
        monkeypatch.setattr(supervision, "prepare_folder", lambda data, job: folder)
        paused = on_disk.supervision.work(job)
        assert (paused.state, paused.reason, paused.error.code) == ("paused", "disk_full", "DISK_FULL")
        assert "not even the error could be written down" in paused.error.message


def test_a_process_that_has_died_is_noticed_without_any_grace(bench):
    folder = prepare_folder(bench.data, bench.claimed())
    child = ChildProcess(folder, grace_seconds=36_000)
    child.ask_to_stop()
    child.kill()
    assert child.poll() in (-9, -15)
