"""The same run over every combination: SQLite or PostgreSQL, looking or RQ, a folder or S3.

Asked for over HTTP, done by a worker, followed, stored, cleaned up, brought back, and its model asked.
"""

import itertools
import json
import threading

import pytest
from fastapi.testclient import TestClient

from jobs_databases import KINDS, fresh_database
from loquela.jobs.cleanup import CleanUp
from loquela.jobs.clock import SystemClock
from loquela.jobs.doorbell.choice import doorbell_for
from loquela.jobs.doorbell.polling import PollingDoorbell
from loquela.jobs.doorbell.rq_bell import RqDoorbell
from loquela.jobs.settings import ServiceSettings
from loquela.service.app import build_app
from loquela.service.keys import Scope
from loquela.service.parts import make_parts
from loquela.worker.worker import Worker
from redis_server import RedisServer
from s3_server import BUCKET, KEYS, S3Server
from waiting import until
from worker_runs import recipe

COMBINATIONS = list(itertools.product(KINDS, ("poll", "rq"), ("folder", "s3")))


@pytest.fixture(scope="module")
def redis():
    made = RedisServer()
    yield made
    made.close()


@pytest.fixture(scope="module")
def s3():
    made = S3Server()
    yield made
    made.stop()


@pytest.mark.parametrize(("database", "bell", "store"), COMBINATIONS, ids=["-".join(each) for each in COMBINATIONS])
def test_a_run_over(database, bell, store, tmp_path, redis, s3, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS["access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS["secret_access_key"])
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    redis.client().flushall()
    s3.empty()
    with fresh_database(database, tmp_path) as opened:
        settings = ServiceSettings(
            data=tmp_path / "my data",
            database_url=opened.url,
            redis_url=redis.url if bell == "rq" else None,
            artifact_url=f"s3://{BUCKET}/kept" if store == "s3" else None,
            artifact_endpoint_url=s3.url if store == "s3" else None,
            cleanup_grace_period_seconds=0,
        )
        parts = make_parts(settings)
        rings = doorbell_for(settings.redis)
        assert isinstance(rings, RqDoorbell if bell == "rq" else PollingDoorbell)
        worker = Worker(settings.data.resolve(), opened, rings, beat_seconds=0.3)
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            carried_out(parts, tmp_path)
        finally:
            worker.stop()
            thread.join(timeout=60)
            rings.close()
            parts.close()
        kept = s3.client().list_objects_v2(Bucket=BUCKET).get("Contents", []) if store == "s3" else []
        assert bool(kept) == (store == "s3") != (settings.data / "artifacts" / "sha256").is_dir()


def carried_out(parts, home):
    key, _ = parts.keys.create("test", [Scope.RUN, Scope.READ, Scope.INFER])
    headers = {"Authorization": f"Bearer {key.text}"}
    client = TestClient(build_app(parts), base_url="http://localhost", headers=headers)
    made = recipe(home, epochs=1)
    (parts.settings.corpus / "story.txt").write_bytes((home / "story.txt").read_bytes())
    made["data"]["sources"] = ["story.txt"]

    def ask():
        return client.post("/runs/train", json={"recipe": made}, headers={"Idempotency-Key": "one"}).json()["run_id"]

    run = ask()
    assert ask() == run
    view = until(lambda: (seen := client.get(f"/runs/{run}").json())["state"] in ("succeeded", "failed") and seen)
    assert view["state"] == "succeeded", view
    assert len(client.get("/runs").json()["runs"]) == 1
    names = [event["name"] for event in client.get(f"/runs/{run}/events?limit=500").json()["events"]]
    assert (
        names.index("job.queued.v1") < names.index("trainer.job.started.v1") < names.index("trainer.job.completed.v1")
    )
    assert names.count("trainer.job.completed.v1") == 1
    series = client.get(f"/runs/{run}/metrics?name=loss").json()[0]
    told = [json.loads(line) for line in (parts.run_folder(run) / "metrics.jsonl").read_text().splitlines()]
    assert series["points_total"] == sum("loss" in line for line in told)

    until(lambda: client.get(f"/runs/{run}/artifacts").json()["artifacts"])
    weights = (parts.run_folder(run) / "final" / "model.safetensors").read_bytes()
    cleaned = CleanUp(parts.settings, parts.archivist, SystemClock(), parts.audit).runs(dry_run=False)
    assert [each.outcome for each in cleaned] == ["completed"], cleaned
    assert not (parts.run_folder(run) / "final").exists()
    asked = {"prompt_text": "The fox", "max_new_tokens": 3, "temperature": 0}
    request = client.post(f"/runs/{run}/generate", json=asked).json()["request_id"]
    found = until(lambda: (seen := client.get(f"/runs/{run}/generate/{request}").json())["outputs"] and seen)
    assert found["status"] == "succeeded", found
    assert (parts.run_folder(run) / "final" / "model.safetensors").read_bytes() == weights
