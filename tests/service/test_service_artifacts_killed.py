"""A whole service that is killed while it stores a run: the next one stores it, and hands it out."""

import hashlib
import io
import tarfile

import pytest

from loquela.artifacts.crash_points import VARIABLE
from served import Served
from waiting import until
from worker_runs import recipe


@pytest.fixture
def service(tmp_path):
    """Starts the service; the last one is stopped."""
    started = []

    def start(**environment):
        started.append(Served(tmp_path, **environment))
        return started[-1]

    yield start
    if started[-1].process.poll() is None:
        started[-1].stop()


def stored(served, run):
    return until(lambda: served.get(f"/runs/{run}/artifacts")["artifacts"])


@pytest.mark.slow
def test_killed_while_it_stores_a_run_it_stores_it_at_the_next_start(tmp_path, service):
    first = service(**{VARIABLE: "storing:2"})
    asked = recipe(tmp_path, epochs=1)
    corpus = first.data / "corpus"
    corpus.mkdir(exist_ok=True)
    (corpus / "story.txt").write_bytes((tmp_path / "story.txt").read_bytes())
    asked["data"]["sources"] = ["story.txt"]
    run = first.client.post("/runs/train", json={"recipe": asked}).raise_for_status().json()["run_id"]
    assert first.process.wait(timeout=120) == -9
    first.client.close()
    first.process.stdout.close()
    assert (first.data / "runs" / run / "seal.json").is_file()

    second = service()
    parts = stored(second, run)
    assert [each["kind"] for each in parts] == ["run", "model", "tokenizer", "evaluation"]
    answer = second.client.get(f"/artifacts/run/{run}")
    assert hashlib.sha256(answer.content).hexdigest() == parts[0]["file_id"]
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        assert {"final/model.safetensors", "manifest.json", "logs/system.log"} <= set(tar.getnames())
    half = second.client.get(f"/artifacts/run/{run}", headers={"Range": "bytes=100-199"})
    assert half.status_code == 206 and half.content == answer.content[100:200]
