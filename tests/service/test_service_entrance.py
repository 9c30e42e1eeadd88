"""What comes in: bodies with bounds, connections with an end, and a key before either."""

import asyncio
import socket

import pytest
from starlette.exceptions import HTTPException

from loquela.core.errors import InternalError
from loquela.service import bodies, connections
from loquela.service.bodies import Body, replayed

RECIPE = {"name": "tiny", "data": {"sources": ["story.txt"]}}


def received(*parts):
    """A `receive` that gives these parts and then waits for ever."""
    waiting = list(parts)

    async def receive():
        if not waiting:
            await asyncio.sleep(3600)
        part = waiting.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(waiting) or part == b"more"}

    return receive


def test_a_body_is_taken_whole_and_what_follows_waits_without_end():
    async def run():
        body = Body(received(b"ab", b"c"), 10)
        assert await body.whole() == b"abc"
        again = replayed(b"abc", body.receive)
        assert (await again())["body"] == b"abc"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await again()

    asyncio.run(run())


def test_a_body_that_is_too_large_is_refused_whatever_it_announced():
    async def run():
        with pytest.raises(HTTPException, match="a request's body may have 3 bytes") as caught:
            await Body(received(b"ab", b"cd", b"ef"), 3).whole()
        assert caught.value.status_code == 413

    asyncio.run(run())


def test_a_body_that_drips_is_refused(monkeypatch):
    monkeypatch.setattr(bodies, "PATIENCE_SECONDS", 0.05)

    async def run():
        with pytest.raises(HTTPException, match="the request's body comes too slowly") as caught:
            await Body(received(b"more"), 10).whole()
        assert caught.value.status_code == 408

    asyncio.run(run())


def test_a_body_that_is_large_may_take_longer(monkeypatch):
    monkeypatch.setattr(bodies, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(bodies, "SLOWEST_BYTES_PER_SECOND", 10)

    async def run():
        body = Body(received(b"x" * 600, b"y"), 1000)
        body._until += 30
        await body.receive()
        body._until -= 30
        assert (await body.receive())["body"] == b"y"

    asyncio.run(run())


def test_of_a_refused_body_little_is_read(monkeypatch):
    monkeypatch.setattr(bodies, "DRAINED_SECONDS", 0.05)

    async def run():
        for body in (Body(received(b"more"), 10), Body(received(b"x" * 20, b"y"), 10)):
            await body.drain()
            assert not body.done or body._taken > 10

    asyncio.run(run())


def test_no_body_is_read_before_its_sender_has_shown_a_key(client_of, parts):
    sent = []

    def endless():
        for _ in range(64):
            sent.append(1)
            yield b"x" * 65_536

    refused = client_of().post(
        "/v1/files", content=endless(), headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert refused.status_code == 401
    assert refused.json()["error"]["message"] == "a valid API key is needed"
    assert not list((parts.data).glob("files/.new-*"))


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip"])
def test_a_packed_body_is_not_unpacked(owner, coding):
    refused = owner.post(
        "/runs/train", content=b"\x1f\x8b", headers={"content-encoding": coding, "content-type": "application/json"}
    )
    assert (refused.status_code, refused.json()["error"]["message"]) == (415, "a packed body is not unpacked here")


def test_an_address_with_the_letter_nul_is_nowhere(owner):
    for path in ("/v1/files/%00", "/runs?state=%00", "/v1/fine_tuning/jobs/a%00b"):
        refused = owner.get(path)
        assert (refused.status_code, "the letter NUL in its address" in refused.text) == (404, True)


def test_no_address_leads_elsewhere(owner):
    for path in ("/runs/", "//evil.test/", "/healthz/", "/login/?next=https://evil.test"):
        answer = owner.get(path, follow_redirects=False)
        assert answer.status_code == 404
        assert "location" not in answer.headers


def test_the_description_wants_a_key_too(client_of):
    assert client_of().get("/openapi.json").status_code == 401
    assert client_of("read").get("/openapi.json").json()["info"]["title"] == "Loquela"


def test_a_reader_that_takes_nothing_is_ended_by_the_kernel(monkeypatch):
    monkeypatch.setattr(connections, "UNREAD_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connections.end_unread(listener)
        with socket.create_connection(listener.getsockname()) as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            writer, _ = listener.accept()
            assert writer.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 1000
            writer.settimeout(20)
            with writer, pytest.raises(OSError, match=r"timed out|reset|Broken pipe|Connection") as caught:
                while True:
                    writer.sendall(b"x" * 65_536)
            assert not isinstance(caught.value, TimeoutError) or caught.value.errno is not None


def test_a_connection_must_go_both_ways():
    made = connections.PatientProtocol.__new__(connections.PatientProtocol)
    with pytest.raises(InternalError, match="a connection that cannot be written to"):
        made.connection_made(asyncio.BaseTransport())
