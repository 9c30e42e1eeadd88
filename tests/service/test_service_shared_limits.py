"""Several API processes count together in Redis, and each by itself while it is away."""

import threading

import pytest
from fastapi.testclient import TestClient

from loquela.core.errors import LimitError
from loquela.jobs.clock import FakeClock
from loquela.jobs.settings import ServiceSettings
from loquela.service import shared_buckets
from loquela.service.app import build_app
from loquela.service.keys import Scope
from loquela.service.limits import Limits
from loquela.service.parts import make_parts
from loquela.service.shared_buckets import SharedBuckets
from redis_server import RedisServer


@pytest.fixture(scope="module")
def server():
    server = RedisServer()
    yield server
    server.close()


class Heard:
    """An event log that only listens."""

    def __init__(self):
        self.names = []

    def append(self, name, **more):
        self.names.append(name)


@pytest.fixture
def make(server):
    server.client().flushall()
    made = []

    def limits(**settings):
        shared = SharedBuckets(server.url, Heard())
        made.append(shared)
        chosen = Limits(ServiceSettings(**settings), FakeClock(), shared)
        chosen.heard = shared._events.names
        return chosen

    yield limits
    for each in made:
        each.close()


def refusals(limits, count, scope=Scope.READ, key="key"):
    refused = []
    for _ in range(count):
        try:
            limits.take(scope, key)
        except LimitError as error:
            refused.append(error.details["retry_after_seconds"])
    return refused


def test_two_processes_allow_together_what_one_does(make):
    one, two = make(reads_per_minute=6), make(reads_per_minute=6)
    assert refusals(one, 3) == refusals(two, 3) == []
    assert refusals(one, 1) in ([10], [9]) and refusals(two, 1) in ([10], [9])
    # Other keys and other kinds have buckets of their own.
    assert refusals(two, 6, key="other") == [] == refusals(two, 6, Scope.RUN)


def test_many_at_once_get_no_more_than_there_is(make):
    many = [make(writes_per_minute=20) for _ in range(4)]
    refused = []
    threads = [threading.Thread(target=lambda one=one: refused.extend(refusals(one, 10, Scope.RUN))) for one in many]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Every three seconds there is one more.
    assert 17 <= len(refused) <= 20


def test_a_limit_that_is_changed_holds_at_once(make):
    limits = make(reads_per_minute=100)
    assert refusals(limits, 5) == []
    limits._settings.reads_per_minute = 2
    assert len(refusals(limits, 4)) == 2
    limits._settings.reads_per_minute = 0
    assert refusals(limits, 50) == []


def test_strangers_who_fail_fail_everywhere(make):
    one, two = make(failures_per_minute=2), make(failures_per_minute=2)
    one.failed("192.0.2.1")
    two.failed("192.0.2.1")
    for each in (one, two):
        with pytest.raises(LimitError, match="2 attempts from this address failed within a minute"):
            each.failed("192.0.2.1")
        each.failed(f"192.0.2.{id(each) % 100 + 2}")


def test_a_redis_that_dies_is_replaced_until_it_is_back_and_both_are_told_once(make, server, monkeypatch):
    monkeypatch.setattr(shared_buckets, "AWAY_SECONDS", 0.0)
    limits = make(reads_per_minute=3)
    assert refusals(limits, 1) == []
    server.kill()
    try:
        assert len(refusals(limits, 5)) == 2
        assert limits.heard == ["service.limits_alone.v1"]
    finally:
        server.start()
    # It kept what was taken before.
    assert len(refusals(limits, 4)) in (1, 2)
    assert limits.heard == ["service.limits_alone.v1", "service.limits_together.v1"]


def test_a_redis_that_is_away_is_not_asked_at_every_request(make, server, monkeypatch):
    limits = make(reads_per_minute=1000)
    asked = []
    server.kill()
    try:
        refusals(limits, 1)
        monkeypatch.setattr(limits._of_scope[Scope.READ]._shared, "_script", lambda **request: asked.append(request))
        assert refusals(limits, 20) == []
        assert asked == []
    finally:
        server.start()


def test_two_services_over_http(server, tmp_path):
    server.client().flushall()
    settings = ServiceSettings(data=tmp_path / "d", redis_url=server.url, reads_per_minute=4)
    both = [make_parts(settings), make_parts(settings)]
    try:
        key = both[0].keys.create("k", [Scope.READ])[0].text
        clients = [
            TestClient(build_app(parts), base_url="http://localhost", headers={"X-Api-Key": key}) for parts in both
        ]
        answers = [clients[number % 2].get("/me") for number in range(6)]
        assert [answer.status_code for answer in answers].count(200) == 4
        assert answers[-1].status_code == 429 and int(answers[-1].headers["Retry-After"]) > 0
    finally:
        for parts in both:
            parts.close()
