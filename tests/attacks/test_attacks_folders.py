"""Folders and queues that somebody else has put things into: nothing is believed, nothing carried out."""

from __future__ import annotations

import io
import json
import sqlite3
import subprocess
import sys
import tarfile
import zipfile

import pytest
from attack_target import PLANTED, Target

from redis_server import RedisServer
from waiting import until

JSON = ("Content-Type", "application/json")
TINY = {
    "name": "tiny", "data": {"min_corpus_bytes": 10}, "tokenizer": {"method": "bpe", "vocab_size": 300},
    "model": {"num_layers": 1, "d_model": 16, "num_heads": 2, "dim_feedforward": 32, "max_sequence_length": 32},
    "compute": {"device": "cpu", "threads": 1, "compile": "off", "linear_kernel": "torch"},
}  # fmt: skip


@pytest.fixture(scope="module")
def redis():
    made = RedisServer()
    yield made
    made.close()


@pytest.fixture(scope="module")
def target(tmp_path_factory, redis):
    """With a worker and a queue that strangers can write into."""
    made = Target(
        tmp_path_factory.mktemp("tampered"),
        LOQUELA_WORKERS="1",
        LOQUELA_REDIS_URL="credential:bell",
        LOQUELA_CREDENTIAL_BELL=redis.url,
    )
    yield made
    assert made.served.stop() == 0


def queued(target: Target) -> str:
    body = json.dumps({"recipe": {"data": {"sources": ["nothing.txt"]}}, "until": "ingest"}).encode()
    return json.loads(target.ask("POST", "/runs/train", JSON, body=body).body)["run_id"]


def pickled(command: str) -> bytes:
    """Bytes that carry out a command when anybody unpickles them."""
    return f"cposix\nsystem\n(S{command!r}\ntR.".encode()


def test_what_strangers_put_into_the_queue_is_not_carried_out(target, redis) -> None:
    canary = target.home / "owned"
    client = redis.client()
    payload = pickled(f"touch '{canary}'")
    fields = {
        "data": payload, "status": "queued", "origin": "loquela", "created_at": "2026-01-01T00:00:00.000000Z",
        "description": "os.system('true')", "timeout": "180",
    }  # fmt: skip
    client.hset("rq:job:evil", mapping=fields)
    client.hset("rq:job:named", mapping={**fields, "data": json.dumps(["os.system", None, [f"touch '{canary}'"], {}])})
    for name in ("evil", "named", "no-such-job", "../../x", "a" * 10_000, payload):
        client.rpush("rq:queue:loquela", name)
    client.publish("trainer:events", payload)
    client.set("runs:status:x", payload)
    # The worker has been through all of it when it has done a job that came afterwards.
    run = queued(target)
    assert target.served.until(run, lambda view: view["state"] == "failed")["error"]["code"]
    assert not canary.exists()
    until(lambda: client.llen("rq:queue:loquela") == 0)
    assert not canary.exists()
    assert target.ask("GET", "/runs/x").status == 404
    target.is_well()


@pytest.mark.slow
def test_archives_that_mean_harm_leave_nothing_outside(target) -> None:
    tar, packed = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for name in ("../../escaped.txt", "/escaped.txt", "good/../../../escaped.txt"):
            entry = tarfile.TarInfo(name)
            entry.size = 5
            archive.addfile(entry, io.BytesIO(b"evil\n"))
        link = tarfile.TarInfo("link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, str(target.home / "secret.txt")
        archive.addfile(link)
        device = tarfile.TarInfo("device")
        device.type = tarfile.CHRTYPE
        archive.addfile(device)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../escaped.txt", "evil\n")
        archive.writestr("bomb.txt", b"0" * 100_000_000)
    before = target.outside()
    for name, content in (("evil.tar", tar.getvalue()), ("evil.zip", packed.getvalue())):
        made = target.served.client.post(
            "/v1/files", files={"file": (name, content)}, data={"purpose": "user_data"}
        ).raise_for_status()
        recipe = {**TINY, "data": {**TINY["data"], "sources": [f"upload:{made.json()['id']}"]}}
        answer = target.served.client.post("/runs/train", json={"recipe": recipe, "until": "ingest"})
        run = answer.json()["run_id"]
        view = target.served.until(run, lambda view: view["state"] in ("failed", "succeeded"), timeout=200)
        shown = json.dumps(view) + target.served.client.get(f"/runs/{run}/logs").text
        assert PLANTED not in shown
        for folder in (target.data / "artifacts").rglob("documents.jsonl"):
            assert PLANTED not in folder.read_text()
    assert target.outside() == before
    assert not [path for path in target.data.rglob("escaped.txt")]


def test_a_runs_folder_that_somebody_has_changed_breaks_nothing(target) -> None:
    run = queued(target)
    target.served.until(run, lambda view: view["state"] == "failed")
    folder = target.data / "runs" / run
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("logs", "metrics.jsonl", "events.jsonl", "status.json", "manifest.json", "checkpoints", "final"):
        place = folder / name
        if place.is_dir() and not place.is_symlink():
            subprocess.run(["rm", "-r", str(place)], check=True)
        place.unlink(missing_ok=True)
    (folder / "logs").symlink_to(target.home)
    (target.home / "system.log").write_text(PLANTED + "\n")
    (folder / "final").symlink_to("/etc")
    (folder / "status.json").write_text('{"run_id": "../../x", "state": ')
    (folder / "metrics.jsonl").write_bytes(
        b'{"step": NaN}\n\xff\xfe\n[[[[\n{"step": 1e999, "loss": "x"}\n' + b"9" * 100_000
    )
    (folder / "events.jsonl").write_bytes(b'{"name": "x\\n\\ndata: y"}\nnonsense\n\0\0\0\n')
    (folder / "manifest.json").write_bytes(pickled(f"touch '{target.home / 'owned'}'"))
    for path in ("", "/logs", "/events", "/metrics/names", "/metrics?name=loss", "/eval", "/exports", "/artifacts"):
        answer = target.ask("GET", f"/runs/{run}{path}")
        assert answer.status < 500, (path, answer)
        assert PLANTED not in answer.text
    answer = target.ask("POST", f"/runs/{run}/chat", JSON, body=b'{"messages": [{"role": "user", "content": "x"}]}')
    assert answer.status in (400, 404, 409, 422), answer
    assert not (target.home / "owned").exists()
    (target.home / "system.log").unlink()
    target.is_well()


def test_a_url_that_is_a_credential_lies_nowhere_on_disk(target, redis) -> None:
    """By now it has been used by the service, its worker and their jobs."""
    assert redis.client().exists("runs:status:x")
    held = b"".join(path.read_bytes() for path in target.data.rglob("*") if path.is_file())
    assert redis.url.encode() not in held
    assert b"credential:bell" not in held


def test_an_audit_log_that_somebody_has_changed_is_found_out(target) -> None:
    def verify() -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "loquela", "audit", "verify", "--data", str(target.data)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert verify().returncode == 0
    connection = sqlite3.connect(target.data / "service.db", timeout=30)
    for statement in ("DELETE FROM audit", "UPDATE audit SET target = ''", "REPLACE INTO audit SELECT * FROM audit"):
        with pytest.raises(sqlite3.IntegrityError, match="the audit log is only appended to"):
            connection.execute(statement)
    # Who may alter the schema gets past that, and no further.
    connection.execute("DROP TRIGGER audit_no_delete")
    connection.execute("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)")
    connection.commit()
    connection.close()
    found = verify()
    assert (found.returncode, "were removed from the end" in found.stdout) == (5, True)
