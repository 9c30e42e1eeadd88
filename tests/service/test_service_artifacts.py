"""Finished runs are stored by themselves, downloaded whole and in parts, and brought back when they were cleaned."""

import hashlib
import io
import shutil
import tarfile

import pytest

from loquela.jobs.settings import ServiceSettings
from loquela.runs.status import Phase, PipelineStatus
from loquela.runs.stored.cleaning import clean_run
from loquela.runs.stored.pointer import read_pointer
from loquela.service import keeper as keeping
from loquela.service.parts import make_parts
from loquela.service.redis_facts import RedisFacts
from redis_server import RedisServer
from s3_server import KEYS, S3Server
from stored_runs import ended_job, make_run
from toy_run import make_run as make_model
from waiting import until


def rows(parts, run_id="tiny-1"):
    return parts.archivist.rows.of_run(run_id)


@pytest.fixture
def run(parts, clock):
    """A run that has ended, and is stored."""
    folder = make_run(parts.data)
    ended_job(parts.database, clock, "tiny-1")
    until(lambda: rows(parts))
    return folder


def names(parts):
    return [event.name for event in parts.events.after(0)]


def test_a_run_that_ended_is_stored_by_itself_and_listed(run, owner, parts):
    found = owner.get("/runs/tiny-1/artifacts").json()
    assert found["here"] is True
    assert [each["kind"] for each in found["artifacts"]] == ["run", "model", "tokenizer", "evaluation", "export"]
    assert found["artifacts"][0]["file_id"] == read_pointer(run).file_id
    assert "artifact.stored.v1" in names(parts)
    page = owner.get("/artifacts", params={"limit": 2}).json()
    assert [each["id"] for each in page["artifacts"]] == ["tiny-1.onnx-int8", "tiny-1"]
    rest = owner.get("/artifacts", params={"before": page["next_before"], "kind": "model"}).json()
    assert [each["kind"] for each in rest["artifacts"]] == ["model"] and rest["next_before"] is None
    assert owner.get("/runs/other/artifacts").status_code == 404


def test_a_model_is_downloaded_whole_and_is_what_its_tag_says(run, owner):
    answer = owner.get("/artifacts/model/tiny-1")
    assert answer.status_code == 200
    tag = answer.headers["etag"].strip('"')
    assert hashlib.sha256(answer.content).hexdigest() == tag
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["content-disposition"] == 'attachment; filename="model-tiny-1.tar"'
    assert answer.headers["content-type"] == "application/x-tar"
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        assert tar.extractfile("model.safetensors").read() == (run / "final" / "model.safetensors").read_bytes()


PARTS = [
    ("bytes=0-9", 206, slice(0, 10)),
    ("bytes=5-", 206, slice(5, None)),
    ("bytes=-7", 206, slice(-7, None)),
    ("bytes=0-99999999", 206, slice(0, None)),
    ("bytes=99999999-", 416, None),
    ("bytes=9-5", 416, None),
    ("bytes=-0", 416, None),
    ("bytes=0-1,4-5", 200, slice(0, None)),
    ("bytes=-", 200, slice(0, None)),
    ("bytes=a-b", 200, slice(0, None)),
    ("rows=0-9", 200, slice(0, None)),
    ("bytes=0-9999999999999999999999999", 200, slice(0, None)),
]


def test_parts_are_what_was_asked_for(run, owner):
    whole = owner.get("/artifacts/evaluation/tiny-1").content
    for asked, status, part in PARTS:
        answer = owner.get("/artifacts/evaluation/tiny-1", headers={"Range": asked})
        assert (asked, answer.status_code) == (asked, status)
        if part is None:
            assert answer.headers["content-range"] == f"bytes */{len(whole)}" and answer.content == b""
        else:
            assert answer.content == whole[part]
        if status == 206:
            first, _, last = answer.headers["content-range"].removeprefix("bytes ").partition("/")[0].partition("-")
            assert whole[int(first) : int(last) + 1] == answer.content


def test_a_copy_that_is_the_same_is_not_sent_again(run, owner):
    tag = owner.get("/artifacts/tokenizer/tiny-1").headers["etag"]
    for sent in (tag, f'"x", W/{tag}', "*"):
        assert owner.get("/artifacts/tokenizer/tiny-1", headers={"If-None-Match": sent}).status_code == 304
    assert owner.get("/artifacts/tokenizer/tiny-1", headers={"If-None-Match": '"x"'}).status_code == 200
    part = {"Range": "bytes=0-3"}
    assert owner.get("/artifacts/tokenizer/tiny-1", headers={**part, "If-Range": tag}).status_code == 206
    assert owner.get("/artifacts/tokenizer/tiny-1", headers={**part, "If-Range": '"x"'}).status_code == 200


def test_a_whole_run_is_for_those_who_may_run(run, client_of):
    reader, runner = client_of("read"), client_of("run")
    assert reader.get("/artifacts/model/tiny-1").status_code == 200
    assert reader.get("/artifacts/run/tiny-1").status_code == 403
    answer = runner.get("/artifacts/run/tiny-1")
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        assert "checkpoints/00000007/optimizer.safetensors" in tar.getnames()
    assert client_of().get("/artifacts/model/tiny-1").status_code == 401


NAMES = [
    ("/artifacts/model/other", 404),
    ("/artifacts/secret/tiny-1", 422),
    ("/artifacts/model/..%2f..%2fkeys", 404),
    ("/artifacts/model/%2e%2e", 422),
    ("/artifacts/model/.hidden", 422),
    ("/artifacts/model/a\\b", 422),
    ("/artifacts/model/" + "n" * 300, 422),
]


def test_a_name_that_is_none_is_refused(run, owner):
    assert [(path, owner.get(path).status_code) for path, _ in NAMES] == NAMES


def test_a_damaged_tarball_is_never_taken_for_a_whole_one(parts, owner, clock):
    make_run(parts.data, "large-1", weights=b"w" * 3_000_000)
    make_run(parts.data, "small-1")
    for name in ("small-1", "large-1"):
        ended_job(parts.database, clock, name)
        [model] = [each for each in until(lambda name=name: rows(parts, name)) if each.kind == "model"]
        blob = parts.data / "artifacts" / "sha256" / model.sha256[:2] / model.sha256
        blob.chmod(0o644)
        with blob.open("r+b") as stream:
            stream.seek(-1, 2)
            stream.write(b"x")
    refused = owner.get("/artifacts/model/small-1")
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "CORRUPTION")
    assert "the stored model small-1 is not what it was" in refused.text
    cut = owner.get("/artifacts/model/large-1")
    assert len(cut.content) < int(cut.headers["content-length"])
    blob.unlink()
    answer = owner.get("/artifacts/model/large-1")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "DATA_NOT_FOUND")
    assert str(parts.data) not in answer.text


def test_a_cleaned_run_answers_as_before(parts, owner, clock):
    folder = make_model(parts.data / "runs" / "toy-1")
    PipelineStatus(run_id="toy-1", current_phase=Phase.COMPLETE).save(folder)
    ended_job(parts.database, clock, "toy-1")
    until(lambda: rows(parts, "toy-1"))
    asked = {"prompt_text": "Once upon", "max_new_tokens": 5, "temperature": 0}

    def answered():
        queued = owner.post("/runs/toy-1/generate", json=asked).json()
        path = f"/runs/toy-1/generate/{queued['request_id']}"
        return until(lambda: (found := owner.get(path).json())["status"] == "succeeded" and found["outputs"])

    before = answered()
    parts.pool.close_idle()
    clean_run(folder, parts.archivist.store, dry_run=False)
    assert not (folder / "final").exists() and owner.get("/runs/toy-1/artifacts").json()["here"] is False
    assert answered() == before
    assert (folder / "final").is_dir() and owner.get("/runs/toy-1/artifacts").json()["here"] is True
    clean_run(folder, parts.archivist.store, dry_run=False)
    said = {"messages": [{"role": "user", "content": "hello"}], "max_new_tokens": 3, "temperature": 0}
    assert owner.post("/runs/toy-1/chat", json=said).status_code == 200
    shutil.rmtree(folder)
    assert owner.post("/runs/toy-1/chat", json=said).status_code == 200 and (folder / "final").is_dir()


@pytest.fixture
def bucket():
    made = S3Server()
    yield made
    made.stop()


def test_a_bucket_that_is_away_is_tried_again_and_said_once(tmp_path, clock, bucket, monkeypatch):
    monkeypatch.setattr(keeping, "FIRST_WAIT_SECONDS", 0.1)
    for name, value in KEYS.items():
        monkeypatch.setenv(f"AWS_{name.upper()}", value)
    bucket.stop()
    settings = ServiceSettings(
        data=tmp_path / "a service", artifact_url="s3://shelf/runs", artifact_endpoint_url=bucket.url
    )
    parts = make_parts(settings, clock)
    try:
        make_run(parts.data)
        ended_job(parts.database, clock, "tiny-1")
        until(lambda: "artifact.store_failed.v1" in names(parts))
        bucket.start()
        until(lambda: rows(parts))
        assert names(parts).count("artifact.store_failed.v1") == 1
        failed = next(event for event in parts.events.after(0) if event.name == "artifact.store_failed.v1")
        assert failed.message == "s3://shelf/runs cannot be used: it does not answer"
        whole = rows(parts)[0]
        keys = [each["Key"] for each in bucket.client().list_objects_v2(Bucket="shelf")["Contents"]]
        assert f"runs/sha256/{whole.sha256[:2]}/{whole.sha256}" in keys
    finally:
        parts.close()


def test_the_keeper_cleans_when_it_is_allowed_to(tmp_path, clock):
    settings = ServiceSettings(data=tmp_path / "a service", cleanup_enabled=True, cleanup_grace_period_seconds=0)
    parts = make_parts(settings, clock)
    try:
        folder = make_run(parts.data)
        ended_job(parts.database, clock, "tiny-1")
        until(lambda: rows(parts))
        parts.keeper._cleaned_at = float("-inf")
        # Its last use is by the machine's clock, which is behind the test's.
        until(lambda: read_pointer(folder).cleaned and not (folder / "final").exists())
        until(lambda: "artifact.cleanup_completed.v1" in names(parts))
    finally:
        parts.close()


def test_nothing_is_stored_where_it_is_switched_off(tmp_path, clock):
    parts = make_parts(ServiceSettings(data=tmp_path / "a service", archive_runs=False), clock)
    try:
        make_run(parts.data)
        ended_job(parts.database, clock, "tiny-1")
        parts.keeper.look()
        assert rows(parts) == []
    finally:
        parts.close()


def test_redis_knows_the_tarball_of_a_run(parts, clock, run):
    server = RedisServer()
    facts = RedisFacts(server.url, parts.events, parts.listing, parts.archivist.rows)
    try:
        redis = server.client()
        key = "runs:artifact:tiny-1:file_id"
        assert until(lambda: redis.get(key)).decode() == read_pointer(run).file_id
        (run / "eval" / "more.json").write_bytes(b"{}")
        ended_job(parts.database, clock, "tiny-1", "evaluate", "evaluate-1")
        clock.advance(5)
        parts.archivist.store_run("tiny-1")
        until(lambda: redis.get(key).decode() == read_pointer(run).file_id)
    finally:
        facts.stop()
        server.close()
