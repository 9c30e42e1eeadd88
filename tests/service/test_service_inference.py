"""Text from models that real processes hold."""

import json
import os
import signal
import threading
from pathlib import Path

import pytest

from loquela.core.errors import DataError, LoquelaError, ResourceError
from loquela.service.inference.engine_handle import EngineHandle
from loquela.service.inference.pool import EnginePool
from toy_run import make_run
from waiting import until


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("with a model") / "run-1")


@pytest.fixture
def run(parts, model, owner, story):
    """A run that the service knows, with a trained model in its folder."""
    name = owner.post("/runs/train", json={"recipe": {"name": "tiny", "data": {"sources": ["story.txt"]}}}).json()[
        "run_id"
    ]
    (parts.data / "runs").mkdir(exist_ok=True)
    (parts.data / "runs" / name).symlink_to(model, target_is_directory=True)
    owner.post(f"/runs/{name}/cancel")
    return name


def polled(client, path):
    until(lambda: client.get(path).json()["status"] not in ("queued", "starting", "running"))
    return client.get(path).json()


def test_generate_score_and_chat_with_one_warm_model(owner, run, parts):
    asked = {"prompt_text": "Once upon", "max_new_tokens": 5, "temperature": 0, "seed": 3}
    queued = owner.post(f"/runs/{run}/generate", json=asked, headers={"Idempotency-Key": "g"})
    assert queued.status_code == 202
    assert (
        owner.post(f"/runs/{run}/generate", json=asked, headers={"Idempotency-Key": "g"}).json()["request_id"]
        == queued.json()["request_id"]
    )
    done = polled(owner, f"/runs/{run}/generate/{queued.json()['request_id']}")
    assert (done["status"], len(done["outputs"]), done["steps"]) == ("succeeded", 1, [5])
    several = owner.post(f"/runs/{run}/generate", json={**asked, "num_return_sequences": 2}).json()
    assert polled(owner, f"/runs/{run}/generate/{several['request_id']}")["outputs"] == done["outputs"] * 2
    scoring = owner.post(f"/runs/{run}/score", json={"text": "the fox", "top_k": 2}).json()
    scored = polled(owner, f"/runs/{run}/score/{scoring['request_id']}")
    assert len(scored["surprisal"]) == len(scored["tokens"]) == len(scored["topk"])
    assert scored["loss"] == pytest.approx(sum(scored["surprisal"]) / len(scored["surprisal"]))
    said = {"messages": [{"role": "user", "content": "hello"}], "max_new_tokens": 6, "temperature": 0}
    whole = owner.post(f"/runs/{run}/chat", json=said).json()
    with owner.stream("POST", f"/runs/{run}/chat/stream", json=said) as response:
        frames = [frame.split("\ndata: ") for frame in response.read().decode().split("\n\n") if frame]
    pieces = [json.loads(data) for name, data in frames if name == "event: piece"]
    assert "".join(pieces) == whole["text"]
    assert json.loads(frames[-1][1]) == whole
    assert len(parts.pool._handles) == 1


def test_what_cannot_be_answered_says_why(owner, run):
    def failed(kind, body):
        asked = owner.post(f"/runs/{run}/{kind}", json=body).json()
        return polled(owner, f"/runs/{run}/{kind}/{asked['request_id']}")

    nothing = failed("score", {"text": ""})
    assert (nothing["status"], nothing["error"]["code"]) == ("failed", "INSUFFICIENT_DATA")
    assert owner.post(f"/runs/{run}/generate", json={"prompt_path": "/etc/passwd"}).status_code == 400
    assert owner.post(f"/runs/{run}/score", json={"path": "/etc/passwd"}).status_code == 400
    assert owner.post(f"/runs/{run}/generate", json={"max_new_tokens": 513}).status_code == 422
    assert owner.post(f"/runs/{run}/chat", json={"messages": []}).status_code == 422
    assert owner.get(f"/runs/{run}/generate/generate-{'0' * 32}").status_code == 404
    asked = owner.post(f"/runs/{run}/score", json={"text": "x"}).json()["request_id"]
    other = owner.get(f"/runs/{run}/generate/{asked}")
    assert (other.status_code, other.json()["error"]["code"]) == (404, "RUN_NOT_FOUND")
    assert other.json()["error"]["message"] == f"run {run} has no request {asked}"
    no_run = owner.post(f"/runs/{asked}/score", json={"text": "x"})
    assert (no_run.status_code, no_run.json()["error"]["code"]) == (404, "RUN_NOT_FOUND")
    assert no_run.json()["error"]["message"] == f"{asked} is no run"


def test_a_run_without_a_model_says_so(owner, story):
    name = owner.post("/runs/train", json={"recipe": {"name": "tiny", "data": {"sources": ["story.txt"]}}}).json()[
        "run_id"
    ]
    asked = owner.post(f"/runs/{name}/score", json={"text": "x"}).json()["request_id"]
    answer = polled(owner, f"/runs/{name}/score/{asked}")
    assert (answer["status"], answer["error"]["code"]) == ("failed", "RUN_NOT_FOUND")
    assert owner.post(f"/runs/{name}/chat", json={"messages": [{"role": "user", "content": "x"}]}).status_code in (
        404,
        422,
    )


CHAT = {"messages": [{"role": "user", "content": "hello"}], "max_new_tokens": 40, "temperature": 0}


@pytest.fixture(scope="module")
def pool():
    """Models that stay warm from one test to the next."""
    made = EnginePool()
    yield made
    made.close()


def test_a_reader_that_goes_away_ends_the_writing_and_the_next_one_hears_nothing_of_it(pool, model):
    whole = list(pool.stream(model, "chat", CHAT))
    process = pool._handles[model]._process
    reading = pool.stream(model, "chat", CHAT)
    next(reading)
    reading.close()
    assert list(pool.stream(model, "chat", CHAT)) == whole
    assert pool._handles[model]._process is process


def test_a_process_that_dies_is_an_error_and_the_next_request_has_a_new_one(pool, model):
    assert "result" in pool.ask(model, "chat", CHAT)
    os.kill(pool._handles[model]._process.pid, signal.SIGKILL)
    # Either it was seen to be dead before it was asked, and replaced, or the one who asks is told.
    try:
        pool.ask(model, "chat", CHAT)
    except ResourceError as error:
        assert "ended without a word" in error.message
    assert "result" in pool.ask(model, "chat", CHAT)


def test_one_model_makes_room_for_another_and_an_idle_one_is_closed(model, tmp_path):
    other = tmp_path / "other"
    other.symlink_to(model, target_is_directory=True)
    pool = EnginePool(most=1, idle_seconds=0.0)
    try:
        pool.ask(model, "chat", CHAT)
        first = pool._handles[model]
        pool.ask(other, "chat", CHAT)
        assert list(pool._handles) == [other]
        assert not first.alive
        pool.close_idle()
        assert pool._handles == {}
    finally:
        pool.close()
    with pytest.raises(ResourceError, match="is busy"):
        pool.ask(model, "chat", CHAT)


def test_requests_to_one_model_wait_for_each_other(pool, model):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(pool.ask(model, "chat", CHAT))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 3
    assert answers[0] == answers[1] == answers[2]


def test_a_folder_without_a_model_is_told_as_what_it_is(tmp_path):
    with pytest.raises(DataError, match="there is no model in"):
        EngineHandle(tmp_path)
    with pytest.raises(LoquelaError, match="no such folder"):
        EngineHandle(Path(tmp_path / "absent"))
