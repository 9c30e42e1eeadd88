"""Real runs under real workers: done, refused, stopped, killed at every level."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest
from safetensors.numpy import load_file

from loquela.artifacts.checkpoints import list_checkpoints
from loquela.jobs.requests import Requests
from loquela.jobs.states import JobState, Reason
from loquela.runs.lock import is_locked
from waiting import until
from worker_runs import Bench, recipe


@pytest.fixture
def bench(tmp_path):
    opened = Bench(tmp_path / "a folder with blanks")
    yield opened
    opened.close()


def trainer_of(worker) -> psutil.Process:
    """The process that trains, once it is there."""
    return until(psutil.Process(worker.pid).children)[0]


def weights(bench: Bench, run: str) -> dict[str, object]:
    return {
        name: value.tobytes()
        for name, value in load_file(Path(bench.data, "runs", run, "final", "model.safetensors")).items()
    }


def test_a_run_is_done_and_a_bad_recipe_is_refused_with_its_remedy(bench):
    bad = recipe(bench.home)
    bad["data"]["sources"] = [str(bench.home / "absent.txt")]
    bench.submit("bad-1", bad)
    bench.submit("run-1", recipe(bench.home))
    bench.worker()
    failed = bench.until_state("bad-1", JobState.FAILED)
    assert failed.reason in (Reason.RECIPE_ERROR, Reason.DATA_ERROR)
    assert failed.error is not None
    assert "absent.txt" in failed.error.message
    assert failed.error.remedy
    done = bench.until_state("run-1", JobState.SUCCEEDED)
    assert done.result is not None
    assert done.result["phase"] == "complete"
    assert isinstance(done.result["metrics"]["validation_loss"], float)
    assert done.progress["step"] == done.progress["steps_total"]
    assert (bench.data / "runs" / "run-1" / "final" / "model.safetensors").is_file()


@pytest.mark.slow
def test_killed_trainers_and_workers_change_no_bit_of_the_result(bench):
    bench.submit("straight", recipe(bench.home, epochs=6))
    first = bench.worker()
    bench.until_state("straight", JobState.SUCCEEDED)
    bench.submit("killed", recipe(bench.home, epochs=6))
    bench.until_step("killed", 12)
    trainer_of(first).send_signal(signal.SIGKILL)
    crashed = bench.wait("killed", lambda job: job.attempt == 2)
    assert crashed.crashes <= 1
    bench.until_step("killed", 20)
    trainer = trainer_of(first)
    first.kill()
    first.wait()
    second = bench.worker()
    done = bench.until_state("killed", JobState.SUCCEEDED)
    assert done.attempt == 3
    assert done.lease_owner is None
    assert not trainer.is_running() or trainer.status() == psutil.STATUS_ZOMBIE
    assert second.poll() is None
    assert weights(bench, "killed") == weights(bench, "straight")


@pytest.mark.slow
def test_cancelled_with_a_checkpoint_and_resumed(bench):
    requests = Requests(bench.database, bench.clock)
    bench.submit("run-1", recipe(bench.home, epochs=400))
    worker = bench.worker()
    bench.until_step("run-1", 8)
    requests.cancel("run-1")
    stopped = bench.until_state("run-1", JobState.CANCELLED)
    assert stopped.reason is Reason.USER
    assert list_checkpoints(bench.data / "runs" / "run-1")
    assert not is_locked(bench.data / "runs" / "run-1")
    at = stopped.progress["step"]
    requests.resume("run-1")
    again = bench.until_step("run-1", int(at) + 5)
    assert again.attempt == 2
    requests.pause("run-1")
    assert bench.until_state("run-1", JobState.PAUSED).reason is Reason.USER
    assert worker.poll() is None


@pytest.mark.slow
def test_a_worker_that_is_shut_down_saves_first_and_another_goes_on(bench):
    bench.submit("run-1", recipe(bench.home, epochs=400))
    first = bench.worker()
    bench.until_step("run-1", 8)
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=60) == 0
    left = bench.listing.get("run-1")
    assert (left.state, left.reason, left.crashes) == (JobState.QUEUED, Reason.WORKER_SHUTDOWN, 0)
    assert list_checkpoints(bench.data / "runs" / "run-1")
    bench.worker()
    bench.until_step("run-1", int(left.progress["step"]) + 5)


@pytest.mark.slow
def test_an_orphan_that_still_trains_keeps_others_away(bench):
    """The worker dies in a way that its trainer does not notice (stopped): nobody trains the run a second time."""
    bench.submit("run-1", recipe(bench.home, epochs=400))
    first = bench.worker()
    bench.until_step("run-1", 8)
    trainer = trainer_of(first)
    os.kill(trainer.pid, signal.SIGSTOP)
    first.kill()
    first.wait()
    bench.worker()
    time.sleep(6)
    held = bench.listing.get("run-1")
    assert held.attempt == 1
    assert is_locked(bench.data / "runs" / "run-1")
    os.kill(trainer.pid, signal.SIGCONT)
    bench.wait("run-1", lambda job: job.attempt == 2 and job.state is JobState.RUNNING)
