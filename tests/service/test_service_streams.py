"""Events and logs as they happen, over a real server."""

import json
import os
import socket
import threading
import time

import httpx
import pytest
import uvicorn

from loquela.core.atomic import append_line
from loquela.jobs.claims import Claims, Ended, Holder
from loquela.jobs.states import JobState, Reason
from loquela.service.keys import Scope
from waiting import until


@pytest.fixture
def server(app, parts):
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    running.should_exit = True
    thread.join(timeout=120)
    listener.close()


@pytest.fixture
def key(parts):
    return parts.keys.create("reader", [Scope.ADMIN])


def frames(response):
    """(id, event, data) of a stream until it ends."""
    found = {}
    for line in response.iter_lines():
        if not line:
            if "event" in found:
                yield found.get("id"), found["event"], found.get("data", "")
            found = {}
            continue
        name, _, value = line.partition(": ")
        if name:
            found[name] = value


def follow(server, key, path, **headers):
    return httpx.stream(
        "GET", server + path, headers={"Authorization": f"Bearer {key[0].text}", **headers}, timeout=120
    )


@pytest.fixture
def run(owner, story):
    answer = owner.post("/runs/train", json={"recipe": {"name": "tiny", "data": {"sources": ["story.txt"]}}})
    return answer.json()["run_id"]


def test_a_run_is_followed_to_its_end_and_from_where_one_left_off(server, key, run, parts, clock):
    claims = Claims(parts.database, clock)

    def work():
        time.sleep(0.3)
        job = claims.started(claims.claim(Holder("w", "h", "b")), pid=1)
        time.sleep(0.3)
        claims.end(job, Ended(JobState.SUCCEEDED, Reason.FINISHED))

    threading.Thread(target=work).start()
    with follow(server, key, f"/runs/{run}/events/stream") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-accel-buffering"] == "no"
        seen = list(frames(response))
    names = [name for _, name, _ in seen]
    assert names == ["job.queued.v1", "job.starting.v1", "job.running.v1", "job.succeeded.v1", "end"]
    assert json.loads(seen[3][2])["message"] == "It finished."
    with follow(server, key, f"/runs/{run}/events/stream", **{"Last-Event-ID": seen[1][0]}) as response:
        assert [name for _, name, _ in frames(response)] == names[2:]
    page = httpx.get(f"{server}/runs/{run}/events", headers={"Authorization": f"Bearer {key[0].text}"}).json()
    assert [event["name"] for event in page["events"]] == names[:-1]


def test_a_log_is_followed_line_by_line_and_none_can_be_forged(server, key, run, parts, owner):
    folder = parts.run_folder(run)
    (folder / "logs").mkdir(parents=True)
    log = folder / "logs" / "system.log"
    append_line(log, "first")
    with log.open("ab") as stream:
        stream.write(b"evil\revent: end\rdata: x\nhalf")
    assert owner.get(f"/runs/{run}/logs").json() == {"lines": ["first", "evil\revent: end\rdata: x"]}

    def work():
        time.sleep(0.5)
        with log.open("ab") as stream:
            stream.write(b" a line\n")
        time.sleep(0.6)
        owner.post(f"/runs/{run}/cancel")

    threading.Thread(target=work).start()
    with follow(server, key, f"/runs/{run}/logs/stream") as response:
        raw = response.read().decode()
    assert raw.count("event: log\n") == 3
    assert "\nevent: end\rdata" not in raw
    assert "data: half a line\n" in raw
    assert raw.rstrip().endswith("data: {}")


def test_a_revoked_key_ends_its_streams(server, key, run, parts, monkeypatch):
    monkeypatch.setattr("loquela.service.streams.KEY_CHECK_SECONDS", 0.2)
    began = time.monotonic()
    with follow(server, key, f"/runs/{run}/events/stream") as response:
        parts.keys.revoke(key[1].id)
        names = [name for _, name, _ in frames(response)]
    assert names == ["job.queued.v1"]
    assert time.monotonic() - began < 15


def test_one_stream_more_than_allowed_is_refused_until_one_ends(server, key, run, parts):
    parts.settings.max_streams = 1
    with follow(server, key, "/events/stream") as held:
        lines = held.iter_lines()
        next(lines)
        with follow(server, key, "/events/stream") as refused:
            assert refused.status_code == 503
            assert "event streams are open" in refused.read().decode()

    def is_let_in():
        with follow(server, key, "/events/stream") as again:
            return again.status_code == 200

    assert until(is_let_in), "the place of a reader that has gone is given back"


def test_one_key_cannot_take_all_streams(server, key, run, parts):
    parts.settings.max_streams_per_key = 1
    other = parts.keys.create("other", [Scope.READ])
    with follow(server, key, "/events/stream") as held:
        lines = held.iter_lines()
        assert next(lines) == ": here"
        with follow(server, key, "/events/stream") as refused:
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
            assert "this key has 1 event streams open" in refused.read().decode()
        with follow(server, other, "/events/stream") as let_in:
            assert let_in.status_code == 200


def test_a_link_in_a_runs_folder_leads_nowhere(owner, run, parts, tmp_path):
    (tmp_path / "secret.txt").write_text("the secret\n")
    folder = parts.run_folder(run)
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "system.log").symlink_to(tmp_path / "secret.txt")
    assert owner.get(f"/runs/{run}/logs").json() == {"lines": []}
    (folder / "logs" / "system.log").unlink()
    (folder / "logs").rmdir()
    (folder / "logs").symlink_to(tmp_path)
    (tmp_path / "system.log").write_text("the secret\n")
    assert owner.get(f"/runs/{run}/logs").json() == {"lines": []}
    (folder / "logs").unlink()
    (folder / "logs").mkdir()
    os.mkfifo(folder / "logs" / "system.log")
    assert owner.get(f"/runs/{run}/logs").status_code == 200


def test_an_events_name_cannot_forge_another(server, key, parts):
    parts.events.append("evil\ndata: forged\n\nevent: end")
    with follow(server, key, "/events/stream") as response:
        name = next(frames(response))[1]
    assert name == "evil data: forged event: end"


@pytest.mark.parametrize("start", ["9" * 30, "-1", "\u0663", "1e9", "x"])
def test_a_place_to_go_on_from_that_is_none_is_the_beginning(server, key, run, start):
    with follow(server, key, f"/runs/{run}/logs/stream", **{"Last-Event-ID": start.encode()}) as response:
        assert response.status_code == 200
        lines = response.iter_lines()
        assert next(lines) == ": here"


def test_from_now_on_is_behind_the_newest_event(server, key, run, owner, parts):
    parts.events.append("a.thing.v1", data={"n": 1})
    page = owner.get("/events", params={"limit": 1}).json()
    assert (len(page["events"]), page["last_seq"], page["newest"]) == (1, 1, 2)
    of_run = owner.get(f"/runs/{run}/events").json()
    assert (of_run["last_seq"], of_run["newest"]) == (1, 1)
    latest = owner.get("/events", params={"after": "latest"}).json()
    assert (latest["events"], latest["last_seq"], latest["newest"]) == ([], 2, 2)
    assert owner.get("/events", params={"after": "newest"}).status_code == 422
    with follow(server, key, "/events/stream?after=latest") as response:
        parts.events.append("a.thing.v1", data={"n": 2})
        number, name, data = next(frames(response))
    assert (number, name, json.loads(data)["data"]) == ("3", "a.thing.v1", {"n": 2})


def test_none_is_newest_where_nothing_happened(owner, parts):
    assert owner.get("/events").json() == {"events": [], "last_seq": 0, "newest": 0}
