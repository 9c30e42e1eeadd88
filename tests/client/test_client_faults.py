"""What the client makes of answers that are no success, of streams that break, and of no answer at all."""

import asyncio
import json

import pytest

from loquela import AsyncClient, Client
from loquela.client import connection as connecting
from loquela.client import patience as patiently
from loquela.client.answers import Artifact
from loquela.core.errors import AccessError, DataError, ErrorCode, LimitError, ProofError, RecipeError, ResourceError

RUN = json.dumps({"run_id": "a", "state": "queued", "created_at": 1.0, "something_new": 1})


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(connecting, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(connecting, "LONGEST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(patiently, "FIRST_PAUSE_SECONDS", 0.01)


def refusal(code, message="no", remedy="do so"):
    return json.dumps({"error": {"code": code, "message": message, "remedy": remedy, "request_id": "r"}})


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "UNAUTHORIZED", AccessError),
        (403, "UNAUTHORIZED", AccessError),
        (404, "RUN_NOT_FOUND", RecipeError),
        (409, "INVALID_STATE", RecipeError),
        (409, "VALIDATION_FAILED", ProofError),
        (422, "CONFIG_INVALID", RecipeError),
        (422, "CORRUPT_DATA", DataError),
    ],
)
def test_a_refusal_is_the_error_that_the_command_line_would_show(scripted, status, code, kind):
    scripted.will_say(status, refusal(code))
    with Client(scripted.url, "k") as client, pytest.raises(kind, match="^no ") as caught:
        client.run("a")
    assert (caught.value.code, caught.value.remedy) == (ErrorCode(code), "do so")
    assert len(scripted.asked) == 1


def test_what_may_pass_is_asked_again_and_a_run_is_queued_once_under_one_key(scripted):
    scripted.will_say(503, refusal("INSUFFICIENT_RESOURCES"))
    scripted.will_say(429, refusal("INSUFFICIENT_RESOURCES"), **{"retry-after": "1"})
    scripted.will_say(202, RUN)
    with Client(scripted.url, "k") as client:
        assert client.train("name: a").run_id == "a"
    keys = {headers["Idempotency-Key"] for _, _, headers, _ in scripted.asked}
    assert len(scripted.asked) == 3 and len(keys) == 1
    assert all(headers["Authorization"] == "Bearer k" for _, _, headers, _ in scripted.asked)


def test_patience_ends(scripted):
    for _ in range(connecting.TRIES):
        scripted.will_say(503, refusal("INSUFFICIENT_RESOURCES", "too much"))
    with Client(scripted.url) as client, pytest.raises(ResourceError, match="too much"):
        client.runs()


def test_an_answer_of_something_else_says_so(scripted):
    scripted.will_say(404, "<html>nginx</html>")
    with Client(scripted.url) as client, pytest.raises(ResourceError, match="HTTP 404, and not as Loquela does"):
        client.me()


def test_nobody_there():
    with (
        Client("http://127.0.0.1:9", "k") as client,
        pytest.raises(ResourceError, match=r"the service at http://127.0.0.1:9 cannot be reached.*\n.*loquela serve"),
    ):
        client.me()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("ftp://here", "no address of a service"),
        ("here:8040", "no address of a service"),
        ("http://me:secret@here", "holds a name or password"),
        ("http://a:b:c", "cannot be read"),
    ],
)
def test_an_address_that_is_none(address, says):
    with pytest.raises(RecipeError, match=says) as caught:
        Client(address)
    assert "secret" not in str(caught.value)


def test_an_id_is_one_part_of_the_path(scripted):
    scripted.will_say(404, refusal("RUN_NOT_FOUND"))
    with Client(scripted.url) as client, pytest.raises(RecipeError, match="no"):
        client.run("../keys?x=1")
    assert scripted.asked[0][1] == "/runs/..%2Fkeys%3Fx%3D1"


def event(seq):
    told = {"seq": seq, "id": str(seq), "at": 1.0, "name": "trainer.job.progress.v1", "data": {"loss": "NaN"}}
    return f"id: {seq}\nevent: {told['name']}\ndata: {json.dumps(told)}\n\n"


def broken_streams(scripted):
    """Three connections: cut inside an event, refused for a while, then to the end."""
    scripted.will_say(200, ": here\n\n" + event(1) + event(2) + event(3)[:25])
    scripted.will_say(503, refusal("INSUFFICIENT_RESOURCES"))
    scripted.will_say(200, event(3) + "id: 3\nevent: end\ndata: {}\n\n")


def test_a_broken_stream_goes_on_behind_its_last_whole_event(scripted):
    broken_streams(scripted)
    with Client(scripted.url) as client:
        assert [told.seq for told in client.follow("a")] == [1, 2, 3]
    assert [headers["Last-Event-ID"] for _, _, headers, _ in scripted.asked] == ["0", "2", "2"]


def test_so_it_does_when_awaited(scripted):
    broken_streams(scripted)

    async def seen():
        async with AsyncClient(scripted.url) as client:
            return [told.seq async for told in client.follow("a")]

    assert asyncio.run(seen()) == [1, 2, 3]


@pytest.mark.parametrize("awaited", [False, True])
def test_what_happens_from_now_on_is_followed_behind_the_newest_event(scripted, awaited):
    scripted.will_say(200, json.dumps({"events": [], "last_seq": 7, "newest": 7}))
    scripted.will_say(200, event(8) + "id: 8\nevent: end\ndata: {}\n\n")

    async def seen():
        async with AsyncClient(scripted.url) as client:
            return [told.seq async for told in client.follow(after="latest")]

    with Client(scripted.url) as client:
        found = asyncio.run(seen()) if awaited else [told.seq for told in client.follow(after="latest")]
    assert found == [8]
    (_, path, _, _), (_, _, headers, _) = scripted.asked
    assert "after=latest" in path and headers["Last-Event-ID"] == "7"


def test_a_stream_that_stays_broken_is_given_up_and_a_refused_one_at_once(scripted):
    scripted.will_say(200, event(1))
    with Client(scripted.url) as client, pytest.raises(ResourceError, match="ended early"):
        list(client.follow("a", patience_seconds=0))
    scripted.will_say(401, refusal("UNAUTHORIZED"))
    with Client(scripted.url) as client, pytest.raises(AccessError, match="no"):
        list(client.follow("a"))


def test_an_error_inside_a_chat_is_raised_and_not_taken_for_text(scripted):
    said = json.dumps({"code": "INFERENCE_FAILED", "message": "it broke", "remedy": "again"})
    scripted.will_say(200, f'event: piece\ndata: "Once"\n\nevent: error\ndata: {said}\n\n')
    with Client(scripted.url) as client:
        pieces = client.chat_stream("a", {"messages": []}, [])
        assert next(pieces) == "Once"
        with pytest.raises(DataError, match="it broke"):
            next(pieces)


def test_a_file_that_is_not_there(tmp_path):
    with Client("http://127.0.0.1:9") as client, pytest.raises(DataError, match="none.txt cannot be read"):
        client.upload(tmp_path / "none.txt")


def test_a_download_of_other_bytes_is_not_kept(scripted, tmp_path):
    given = {
        "kind": "model",
        "id": "a",
        "run_id": "a",
        "file_id": "0" * 64,
        "size_bytes": 5,
        "files": 1,
        "verified_at": 1,
    }
    model = Artifact.model_validate(given)
    scripted.will_say(200, b"other")
    with Client(scripted.url) as client, pytest.raises(DataError, match="not what the service promised"):
        client.download(model, tmp_path / "model.tar")
    scripted.will_say(404, refusal("DATA_NOT_FOUND"))
    with Client(scripted.url) as client, pytest.raises(RecipeError, match="no"):
        client.download(model, tmp_path / "model.tar")
    assert list(tmp_path.iterdir()) == []


def test_too_many_requests_are_told_as_such(scripted):
    for _ in range(connecting.TRIES):
        scripted.will_say(429, refusal("RATE_LIMITED", "too often"))
    with Client(scripted.url) as client, pytest.raises(LimitError, match="too often"):
        client.me()
