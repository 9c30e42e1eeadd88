"""A worker whose service dies stops at once, wherever the signal meets it."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from served import Served
from worker_runs import recipe

UNDER_ITS_LOCK = """
import os, signal, sys, time
from pathlib import Path
from loquela.jobs.doorbell.polling import PollingDoorbell
from loquela.jobs.settings import ServiceSettings
from loquela.worker.serving import work

def wait(self, timeout_seconds):
    # What `Event.wait` and `Event.clear` do for a moment, over and over.
    with self._rung._cond:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.05)

PollingDoorbell.wait = wait
work(ServiceSettings(data=Path(sys.argv[1])), None)
print("stopped")
"""


def test_a_signal_that_comes_while_the_worker_holds_its_bells_lock_stops_it(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", UNDER_ITS_LOCK, str(tmp_path / "d")],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == "stopped\n"


@pytest.mark.slow
@pytest.mark.parametrize("order", [("api", "trainer"), ("trainer", "api")])
def test_api_and_trainer_die_together_and_nobody_waits_for_anybodys_grace(tmp_path, order):
    """With a grace of ten hours: whoever waited for it would be seen."""
    long = {"LOQUELA_GRACE_SECONDS": "36000", "LOQUELA_LEASE_SECONDS": "3600"}
    served = Served(tmp_path, **long)
    made = recipe(tmp_path, epochs=4000)
    (served.data / "corpus" / "story.txt").write_bytes((tmp_path / "story.txt").read_bytes())
    made["data"]["sources"] = ["story.txt"]
    run = served.client.post("/runs/train", json={"recipe": made}).json()["run_id"]
    before = served.until(run, lambda view: view["progress"].get("step", 0) >= 10)
    [worker] = psutil.Process(served.process.pid).children()
    [trainer] = worker.children()
    pids = {"api": served.process.pid, "trainer": trainer.pid}
    for part in order:
        os.kill(pids[part], signal.SIGKILL)
    served.process.wait()
    served.client.close()
    served.process.stdout.close()
    _, alive = psutil.wait_procs([worker, trainer], timeout=60)
    assert alive == []
    again = Served(tmp_path, **long)
    try:

        def has_gone_on(view):
            return view["attempt"] >= 2 and view["progress"].get("step", 0) > before["progress"]["step"]

        assert again.until(run, has_gone_on)["state"] == "running"
    finally:
        again.process.kill()
        again.process.wait()
        again.client.close()
        again.process.stdout.close()
