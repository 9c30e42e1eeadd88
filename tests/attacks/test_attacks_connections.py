"""Connections that never end, never begin, or never read: others are answered meanwhile, and memory stays."""

from __future__ import annotations

import time

import psutil
import pytest
from attack_target import Target
from wire import connect, read, written

# The same program with less patience, so that a test can see its end.
IMPATIENT = """
from loquela.service import bodies, connections
bodies.PATIENCE_SECONDS = 1.0
bodies.SLOWEST_BYTES_PER_SECOND = 10_000_000
connections.HEADERS_SECONDS = 1.5
connections.UNREAD_SECONDS = 2
"""
HOLD_SECONDS = 40.0


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    made = Target(
        tmp_path_factory.mktemp("held"), before=IMPATIENT, LOQUELA_MAX_STREAMS="6", LOQUELA_MAX_STREAMS_PER_KEY="3"
    )
    yield made
    assert made.served.stop() == 0


def ended(wire, drip: bytes = b"") -> float:
    """Seconds until the other side ends a connection that is kept alive by drops."""
    began = time.monotonic()
    wire.settimeout(0.3)
    while time.monotonic() - began < HOLD_SECONDS:
        try:
            if drip:
                wire.sendall(drip)
            if not wire.recv(65_536):
                return time.monotonic() - began
        except TimeoutError:
            continue
        except OSError:
            return time.monotonic() - began
    raise AssertionError("it is held for ever")


def test_headers_that_drip_are_ended(target) -> None:
    with connect(target.address) as wire:
        wire.sendall(b"GET /runs HTTP/1.1\r\nHost: localhost\r\n")
        ended(wire, b"X-A: b\r\n")
    target.is_well()


def test_a_connection_that_says_nothing_is_ended(target) -> None:
    with connect(target.address) as wire:
        ended(wire)


def test_a_second_request_that_drips_is_ended_too(target) -> None:
    with connect(target.address) as wire:
        wire.sendall(written(target.address, "GET", "/healthz", (("Connection", "keep-alive"),)))
        assert wire.recv(65_536).startswith(b"HTTP/1.1 200")
        ended(wire, b"G")


def test_a_body_that_drips_is_refused_and_ended(target) -> None:
    sent = (
        target.owner,
        ("Content-Length", "1000"),
        ("Content-Type", "application/json"),
        ("Connection", "keep-alive"),
    )
    with connect(target.address) as wire:
        wire.sendall(written(target.address, "POST", "/runs/train", sent))
        wire.settimeout(HOLD_SECONDS)
        answer = read(wire)
    assert (answer.status, answer.headers["connection"]) == (408, "close")
    assert answer.error["message"] == "the request's body comes too slowly"
    assert target.runs() == 0


def test_who_has_no_key_is_not_listened_to(target) -> None:
    """The answer comes at once, and the rest of a body is not waited for."""
    sent = (("Content-Length", "100000000"), ("Content-Type", "application/json"), ("Connection", "keep-alive"))
    with connect(target.address) as wire:
        wire.sendall(written(target.address, "POST", "/v1/files", sent) + b"x" * 1000)
        wire.settimeout(HOLD_SECONDS)
        answer = read(wire)
    assert (answer.status, answer.headers["connection"]) == (401, "close")


def test_many_silent_connections_leave_room_for_others(target) -> None:
    before = psutil.Process(target.served.process.pid).memory_info().rss
    wires = [connect(target.address) for _ in range(300)]
    try:
        target.is_well()
    finally:
        for wire in wires:
            wire.close()
    grown = psutil.Process(target.served.process.pid).memory_info().rss - before
    assert grown < 64 * 2**20


def test_one_connection_too_many_is_closed_and_the_rest_goes_on(target) -> None:
    wires = [connect(target.address) for _ in range(560)]
    try:
        ended(wires[-1])
    finally:
        for wire in wires:
            wire.close()
    target.is_well()


def test_one_key_holds_so_many_streams_and_gives_them_back(target) -> None:
    request = written(target.address, "GET", "/events/stream", (target.owner,))
    wires = [connect(target.address) for _ in range(3)]
    try:
        for wire in wires:
            wire.sendall(request)
            held = b""
            while b": here" not in held:
                held += wire.recv(65_536)
        refused = target.ask("GET", "/events/stream")
        assert (refused.status, refused.headers["retry-after"]) == (429, "5")
        target.is_well()
    finally:
        for wire in wires:
            wire.close()
    until = time.monotonic() + HOLD_SECONDS
    while time.monotonic() < until:
        with connect(target.address) as wire:
            wire.sendall(request)
            if wire.recv(65_536).startswith(b"HTTP/1.1 200"):
                return
        time.sleep(0.2)
    raise AssertionError("the places of readers that have gone are never given back")


def test_a_reader_that_reads_nothing_is_ended_and_holds_nobody_up(target) -> None:
    """What it was to get fills no memory: the kernel ends it when nothing was taken for a while."""
    request = written(target.address, "GET", "/openapi.json", (target.owner, ("Connection", "keep-alive")))
    with connect(target.address) as wire:
        wire.setsockopt(1, 8, 2048)  # SO_RCVBUF
        wire.sendall(request * 60)
        target.is_well()
        began = time.monotonic()
        process = psutil.Process(target.served.process.pid)
        while any(
            each.raddr and each.raddr.port == wire.getsockname()[1] for each in process.net_connections(kind="tcp")
        ):
            assert time.monotonic() - began < HOLD_SECONDS
            time.sleep(0.3)
    target.is_well()
