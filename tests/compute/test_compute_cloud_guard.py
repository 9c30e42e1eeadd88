"""The guard of a rented machine: whatever happens, it saves, marks what there is, and ends the machine."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from loquela.compute.cloud.done import DONE_NAME, RELEASED_NAME, check_results, read_done
from loquela.compute.cloud.guard import Guard, GuardSettings
from loquela.core.errors import DataError
from waiting import until

SAVES_ON_CTRL_C = (
    "import pathlib, signal, sys, time\n"
    "def save(*_):\n    pathlib.Path(sys.argv[1], 'saved.txt').write_text('all of it')\n    sys.exit(75)\n"
    "signal.signal(signal.SIGINT, save)\n"
    "pathlib.Path(sys.argv[1], 'begun.txt').write_text('x')\n"
    "while True:\n    sum(range(20000))\n"
)


@pytest.fixture(autouse=True)
def _handlers():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def settings(tmp_path, program, **values):
    results, state = tmp_path / "runs", tmp_path / "guard"
    results.mkdir(exist_ok=True)
    ended = ["bash", "-c", f"test -f {state / DONE_NAME} && echo ended >> {tmp_path / 'terminated'}"]
    return GuardSettings.model_validate(
        {
            "command": [sys.executable, "-c", program, str(results)],
            "results": results,
            "state": state,
            "max_cost_usd": 100,
            "usd_per_hour": 3.6,
            "idle_minutes": 10,
            "save_minutes": 0.5,
            "claim_minutes": 0,
            "terminate": ended,
            "poll_seconds": 0.05,
            "started": time.time(),
            **values,
        }
    )


def test_a_finished_run_is_marked_with_its_hashes_and_the_machine_ends(tmp_path):
    program = "import pathlib, sys; pathlib.Path(sys.argv[1], 'model.bin').write_bytes(b'weights')"
    done = Guard(settings(tmp_path, program)).run()
    assert (done.outcome, done.exit_code) == ("completed", 0)
    assert done.files["model.bin"].sha256 == hashlib.sha256(b"weights").hexdigest()
    assert read_done((tmp_path / "guard" / DONE_NAME).read_text()) == done
    assert (tmp_path / "terminated").read_text() == "ended\n"


def test_at_the_cap_it_saves_and_terminates(tmp_path):
    # 3.6 USD an hour are a tenth of a cent a second: two hours ago the machine began, 7.20 USD are spent.
    capped = settings(tmp_path, SAVES_ON_CTRL_C, max_cost_usd=7.232, started=time.time() - 7200)
    done = Guard(capped).run()
    assert done.outcome == "cost_cap"
    assert done.exit_code == 75
    assert done.files["saved.txt"].size == len("all of it")
    assert "before the cap of 7.232 USD" in done.message
    assert 7.2 <= done.cost_usd <= 7.232
    assert (tmp_path / "terminated").exists()


def test_a_run_that_does_nothing_is_ended(tmp_path):
    done = Guard(settings(tmp_path, "import time; time.sleep(60)", idle_minutes=0.02)).run()
    assert done.outcome == "idle"
    assert "nothing happened for 0.02 minutes" in done.message
    assert (tmp_path / "terminated").exists()


def test_a_run_that_works_is_not_idle(tmp_path):
    program = "import time\nend = time.time() + 2\nwhile time.time() < end: sum(range(20000))"
    assert Guard(settings(tmp_path, program, idle_minutes=0.01)).run().outcome == "completed"


def test_a_failure_is_told_with_the_last_line(tmp_path):
    done = Guard(settings(tmp_path, "import sys; print('no such base', file=sys.stderr); sys.exit(3)")).run()
    assert (done.outcome, done.exit_code) == ("failed", 3)
    assert done.message == "the command ended with exit code 3: no such base"


def test_one_that_ignores_ctrl_c_is_killed_with_all_it_started(tmp_path):
    program = (
        "import signal, subprocess, sys, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '60'])\nprint(child.pid, flush=True)\n"
        "while True: sum(range(20000))"
    )
    log, began = tmp_path / "guard" / "run.log", time.time()
    capped = settings(tmp_path, program, max_cost_usd=1.0, save_minutes=0.04, started=began)
    # The money is spent once the program is deaf.
    guard = Guard(capped, lambda: began + (999 if log.is_file() and "\n" in log.read_text() else 0))
    assert guard.run().exit_code == -signal.SIGKILL
    pid = int(log.read_text().split()[0])
    # Where nobody collects the dead, they stay listed.
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_results_wait_to_be_fetched_and_no_longer(tmp_path):
    guarded = settings(tmp_path, "pass", claim_minutes=60)
    released = tmp_path / "guard" / RELEASED_NAME
    timer = threading.Timer(0.5, lambda: released.write_text(""))
    timer.start()
    began = time.perf_counter()
    Guard(guarded).run()
    assert time.perf_counter() - began >= 0.4
    assert (tmp_path / "terminated").exists()
    timer.join()
    released.unlink()
    # Nobody comes: what is left of the money ends the waiting.
    broke = settings(tmp_path, "pass", claim_minutes=60, max_cost_usd=1.001, save_minutes=0, started=time.time() - 1000)
    assert Guard(broke).run().cost_usd >= 1.0


def test_termination_is_tried_until_it_works(tmp_path):
    flag = tmp_path / "second"
    tries = ["bash", "-c", f"test -f {flag} && touch {tmp_path / 'terminated'} || {{ touch {flag}; exit 1; }}"]
    Guard(settings(tmp_path, "pass", terminate=tries)).run()
    assert (tmp_path / "terminated").exists()


def test_told_to_stop_it_saves_too(tmp_path):
    path = tmp_path / "guard.json"
    path.write_text(settings(tmp_path, SAVES_ON_CTRL_C).model_dump_json())
    process = subprocess.Popen([sys.executable, "-m", "loquela.compute.cloud.guard", str(path)])
    until((tmp_path / "runs" / "begun.txt").exists)
    process.terminate()
    assert process.wait(timeout=120) == 0
    done = json.loads((tmp_path / "guard" / DONE_NAME).read_text())
    assert done["outcome"] == "stopped"
    assert "saved.txt" in done["files"]


def test_results_are_held_against_their_hashes(tmp_path):
    done = Guard(settings(tmp_path, "import pathlib, sys; pathlib.Path(sys.argv[1], 'a').write_text('1')")).run()
    check_results(tmp_path / "runs", done)
    (tmp_path / "runs" / "a").write_text("2")
    with pytest.raises(DataError, match="a is not what was sent"):
        check_results(tmp_path / "runs", done)
    (tmp_path / "runs" / "a").unlink()
    with pytest.raises(DataError, match="a did not arrive"):
        check_results(tmp_path / "runs", done)
    with pytest.raises(DataError, match="marker of the finished run cannot be read"):
        read_done('{"outcome": "comp')
