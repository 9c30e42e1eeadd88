import threading
import time

import pytest

from loquela.core.errors import RecipeError
from loquela.jobs.doorbell.choice import doorbell_for
from loquela.jobs.doorbell.polling import PollingDoorbell
from loquela.jobs.doorbell.rq_bell import RqDoorbell
from redis_server import RedisServer


@pytest.fixture(scope="module")
def server():
    made = RedisServer()
    yield made
    made.close()


@pytest.fixture(params=["polling", "rq"])
def bell(request, server):
    made = PollingDoorbell() if request.param == "polling" else RqDoorbell(server.url)
    yield made
    made.close()


def waited(bell, seconds=60.0):
    began = time.monotonic()
    bell.wait(seconds)
    return time.monotonic() - began


def test_who_waits_hears_it(bell):
    threading.Timer(0.3, bell.ring, ("job-1", 0)).start()
    assert waited(bell) < 30


def test_who_waits_can_be_woken(bell):
    threading.Timer(0.1, bell.wake).start()
    assert waited(bell) < 30


def test_what_was_rung_before_is_heard_later(bell):
    bell.ring("job-2", 0)
    assert waited(bell) < 30


def test_another_process_hears_through_redis_and_nothing_is_left(server):
    ringing, waiting = RqDoorbell(server.url), RqDoorbell(server.url)
    server.client().flushall()
    ringing.ring("job-1", 3)
    ringing.ring("job-1", 3)
    assert waited(waiting) < 30
    waited(waiting, 0.3)
    assert [key for key in server.client().keys() if key.startswith(b"rq:job:")] == []


def test_strange_entries_ring_and_do_nothing_else(server, tmp_path):
    canary = tmp_path / "canary"
    # A pickle that writes a file when somebody reads it.
    evil = b"cbuiltins\nopen\n(V" + str(canary).encode() + b"\nVw\ntR."
    bell = RqDoorbell(server.url)
    for entry in (b"\xff\xfe", evil, b"x" * 100_000, b"a.b.c"):
        server.client().hset("rq:job:a.b.c", "data", evil)
        server.client().rpush("rq:queue:loquela", entry)
        assert waited(bell) < 30
    assert not canary.exists()


def test_a_redis_that_is_gone_costs_time_and_nothing_else(server):
    bell = RqDoorbell(server.url)
    server.kill()
    bell.ring("job-1", 0)
    assert waited(bell, 0.5) < 30
    server.start()
    bell.ring("job-1", 1)
    assert waited(bell) < 30


def test_the_settings_choose(server):
    assert isinstance(doorbell_for(None), PollingDoorbell)
    assert isinstance(doorbell_for(server.url), RqDoorbell)
    with pytest.raises(RecipeError, match="redis_url is no address of a Redis"):
        doorbell_for("http://somewhere")
