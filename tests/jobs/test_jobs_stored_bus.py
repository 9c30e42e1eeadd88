"""Publish, subscribe, unsubscribe between processes: over SQL alone and with Redis, on both databases."""

import subprocess
import sys
import threading
import time

import pytest

from jobs_databases import KINDS, fresh_database
from loquela.jobs.clock import SystemClock
from loquela.jobs.event_log import EventLog
from loquela.jobs.stored_bus import RedisWaker, StoredBus
from redis_server import RedisServer

WAYS = ("sql", "redis")


@pytest.fixture(scope="module")
def server():
    made = RedisServer()
    yield made
    made.close()


@pytest.fixture(params=KINDS)
def database(request, tmp_path):
    with fresh_database(request.param, tmp_path) as made:
        yield made


@pytest.fixture(params=WAYS)
def bus_of(request, database, server):
    """Another bus over the same table, as another process has it."""
    made = []

    def make():
        waker = RedisWaker(server.url) if request.param == "redis" else None
        made.append(StoredBus(EventLog(database, SystemClock()), waker))
        return made[-1]

    yield make
    for bus in made:
        bus.close()


class Heard:
    def __init__(self):
        self.messages = []
        self._more = threading.Condition()

    def __call__(self, message):
        with self._more:
            self.messages.append(message)
            self._more.notify_all()

    def until(self, count):
        with self._more:
            assert self._more.wait_for(lambda: len(self.messages) >= count, timeout=20), self.messages
        return self.messages


def test_every_subscriber_hears_its_topics_in_order_and_only_what_comes_later(bus_of):
    here, there = bus_of(), bus_of()
    here.publish("trainer.job.started.v1", {"n": 0})
    exact, beginning, everything = Heard(), Heard(), Heard()
    there.subscribe("trainer.job.started.v1", exact)
    there.subscribe("trainer.*", beginning)
    here.subscribe("*", everything)
    assert here.publish("trainer.job.started.v1", {"n": 1})
    assert there.publish("trainer.metrics.progress.v1", {"n": 2})
    here.publish("job.queued.v1", {"n": 3})
    assert [message["n"] for message in everything.until(3)] == [1, 2, 3]
    assert [message["n"] for message in beginning.until(2)] == [1, 2]
    assert [message["n"] for message in exact.until(1)] == [1]


def test_who_has_unsubscribed_hears_no_more(bus_of):
    bus = bus_of()
    gone, stays = Heard(), Heard()
    subscription = bus.subscribe("a.*", gone)
    bus.subscribe("a.*", stays)
    assert bus.unsubscribe(subscription) and not bus.unsubscribe(subscription)
    bus.publish("a.b.v1", {})
    stays.until(1)
    assert gone.messages == []


def test_a_redis_that_dies_loses_no_message(database):
    server = RedisServer()
    here = StoredBus(EventLog(database, SystemClock()), RedisWaker(server.url))
    there = StoredBus(EventLog(database, SystemClock()), RedisWaker(server.url))
    heard = Heard()
    try:
        there.subscribe("a.*", heard)
        here.publish("a.b.v1", {"n": 1})
        heard.until(1)
        server.kill()
        here.publish("a.b.v1", {"n": 2})
        heard.until(2)
        server.start()
        here.publish("a.b.v1", {"n": 3})
        assert [message["n"] for message in heard.until(3)] == [1, 2, 3]
    finally:
        here.close()
        there.close()
        server.close()


def test_another_process_is_heard(tmp_path):
    with fresh_database("sqlite", tmp_path) as database:
        bus, heard = StoredBus(EventLog(database, SystemClock())), Heard()
        bus.subscribe("*", heard)
        program = (
            "import sys; from loquela.jobs.database import Database; from loquela.jobs.event_log import EventLog;"
            "from loquela.jobs.clock import SystemClock; from loquela.jobs.stored_bus import StoredBus;"
            "StoredBus(EventLog(Database(sys.argv[1]), SystemClock())).publish('from.afar.v1', {'n': 1})"
        )
        subprocess.run([sys.executable, "-c", program, database.url], check=True, timeout=60)
        assert heard.until(1) == [{"n": 1}]
        bus.close()


def test_with_redis_a_message_is_heard_long_before_anybody_would_look(database, server, monkeypatch):
    monkeypatch.setattr("loquela.jobs.stored_bus.LOOK_WOKEN_SECONDS", 9.0)
    bus, heard = StoredBus(EventLog(database, SystemClock()), RedisWaker(server.url)), Heard()
    bus.subscribe("*", heard)
    time.sleep(0.5)
    began = time.monotonic()
    bus.publish("a.b.v1", {})
    heard.until(1)
    assert time.monotonic() - began < 9.0
    bus.close()


def test_a_subscriber_that_fails_is_said_and_the_others_hear_all(bus_of, caplog):
    bus, heard = bus_of(), Heard()

    def fail(message):
        raise ValueError(f"no use for {message}")

    bus.subscribe("a.*", fail)
    bus.subscribe("a.*", heard)
    for n in range(2):
        bus.publish("a.thing.v1", {"n": n})
    assert heard.until(2) == [{"n": 0}, {"n": 1}]
    assert "a subscriber of the bus failed at a.thing.v1" in caplog.text
