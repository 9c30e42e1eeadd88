"""The whole service as a program: one command, one folder."""

import os
import signal
import subprocess
import sys

import psutil
import pytest
import yaml

from served import Served
from waiting import until
from worker_runs import recipe


@pytest.mark.slow
def test_submitted_followed_cancelled_resumed_and_gone_on_with_after_a_restart(tmp_path):
    served = Served(tmp_path)
    try:
        made = recipe(tmp_path, epochs=400)
        (served.data / "corpus" / "story.txt").write_bytes((tmp_path / "story.txt").read_bytes())
        made["data"]["sources"] = ["story.txt"]
        run = served.client.post("/runs/train", json={"recipe": made}).json()["run_id"]
        served.until(run, lambda view: view["progress"].get("step", 0) >= 10)
        served.client.post(f"/runs/{run}/cancel")
        cancelled = served.until(run, lambda view: view["state"] == "cancelled")
        assert cancelled["reason"] == "user"
        served.client.post(f"/runs/{run}/resume")
        served.until(run, lambda view: view["progress"].get("step", 0) > cancelled["progress"]["step"])
        children = psutil.Process(served.process.pid).children(recursive=True)
        assert len(children) == 2
    finally:
        assert served.stop() == 0
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []
    again = Served(tmp_path)
    try:
        assert again.new_key is None
        gone_on = again.until(run, lambda view: view["state"] == "running" and view["attempt"] >= 3)
        assert gone_on["progress"]["step"] >= cancelled["progress"]["step"]
    finally:
        assert again.stop() == 0


@pytest.mark.slow
def test_a_run_of_the_command_line_is_watched_and_gone_on_with(tmp_path):
    served = Served(tmp_path)
    try:
        written = tmp_path / "recipe.yaml"
        written.write_text(yaml.safe_dump(recipe(tmp_path, epochs=400) | {"output_directory": str(served.data)}))
        command = subprocess.Popen(
            [sys.executable, "-m", "loquela", "train", str(written), "--resume", "never", "--quiet"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        seen = until(lambda: served.get("/runs")["runs"])
        run = seen[0]["run_id"]
        assert seen[0]["labels"] == {"made": "on the command line"}
        training = served.until(run, lambda view: view["progress"].get("step", 0) >= 10)
        assert (training["state"], training["worker"]) == ("running", None)
        assert training["last_heartbeat"] > training["started_at"]
        assert served.client.post(f"/runs/{run}/cancel").status_code == 409
        assert served.get(f"/runs/{run}/metrics?name=train_loss&name=loss")
        command.send_signal(signal.SIGINT)
        assert command.wait(timeout=60) == 75
        stopped = served.until(run, lambda view: view["state"] == "interrupted")
        assert stopped["reason"] == "user"
        served.client.post(f"/runs/{run}/resume")
        served.until(run, lambda view: view["progress"].get("step", 0) > stopped["progress"]["step"])
        assert served.get(f"/runs/{run}")["attempt"] == 1
    finally:
        assert served.stop() == 0


@pytest.mark.slow
def test_a_worker_that_dies_is_started_again_and_a_service_that_dies_takes_its_worker_with_it(tmp_path):
    served = Served(tmp_path)
    server = psutil.Process(served.process.pid)
    workers = until(server.children)
    workers[0].kill()
    started = until(lambda: [child for child in server.children() if child.pid != workers[0].pid])
    served.process.kill()
    served.process.wait()
    served.client.close()
    served.process.stdout.close()
    _, alive = psutil.wait_procs(started, timeout=60)
    assert alive == []


def test_an_address_that_is_taken_is_said_to_be_so(tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "loquela", "serve", "--data", str(tmp_path / "d"), "--port", str(port)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 4
    assert f"127.0.0.1:{port} cannot be listened on" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_service_and_the_worker_load_no_tensor_library(tmp_path):
    code = (
        "import sys, loquela.service.serving, loquela.worker.serving\n"
        "print({'torch', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"
