"""How often a key may ask, and how often a stranger may fail."""

import pytest
from fastapi.testclient import TestClient

from loquela.core.errors import LimitError
from loquela.jobs.clock import FakeClock, MonotonicClock
from loquela.jobs.records import NewJob
from loquela.jobs.settings import ServiceSettings
from loquela.jobs.submissions import Submissions
from loquela.service import limits as limits_module
from loquela.service.app import build_app
from loquela.service.keys import Scope
from loquela.service.limits import Buckets, Limits, network_of
from loquela.service.parts import make_parts


@pytest.fixture
def small(tmp_path):
    """A service with small limits, its clock, and a client with the given key."""
    clock = FakeClock()
    settings = ServiceSettings(
        data=tmp_path / "d", reads_per_minute=6, writes_per_minute=2, inferences_per_minute=1, failures_per_minute=3,
        max_queued_jobs=2,
    )  # fmt: skip
    parts = make_parts(settings, clock)
    app = build_app(parts)

    def make(*scopes, address="192.0.2.1"):
        headers = {}
        if scopes:
            headers["Authorization"] = f"Bearer {parts.keys.create('k', [Scope(scope) for scope in scopes])[0].text}"
        return TestClient(app, base_url="http://localhost", headers=headers, client=(address, 1000))

    yield make, clock, parts
    parts.close()


def test_a_bucket_gives_a_minutes_worth_and_fills_evenly():
    clock = FakeClock()
    bucket = Buckets(6, clock)
    assert [bucket.take("a") for _ in range(6)] == [0.0] * 6
    assert bucket.take("a") == pytest.approx(10)
    assert bucket.take("b") == 0
    clock.advance(9)
    assert bucket.take("a") == pytest.approx(1)
    clock.advance(1)
    assert bucket.take("a") == 0
    assert bucket.take("a") == pytest.approx(10)
    clock.advance(1e9)
    assert [bucket.take("a") for _ in range(7)][5:] == [0.0, pytest.approx(10)]


def test_a_clock_that_jumps_locks_nobody_out():
    clock = FakeClock()
    bucket = Buckets(6, clock)
    for _ in range(6):
        bucket.take("a")
    clock.advance(-1e8)
    assert bucket.take("a") == pytest.approx(10)
    clock.advance(10)
    assert bucket.take("a") == 0
    assert MonotonicClock().now() <= MonotonicClock().now()


def test_no_limit_keeps_nothing():
    bucket = Buckets(0, FakeClock())
    assert [bucket.take("a") for _ in range(100)] == [0.0] * 100
    assert not bucket._held


def test_many_strangers_fill_no_memory(monkeypatch):
    monkeypatch.setattr(limits_module, "MOST_BUCKETS", 3)
    bucket = Buckets(1, FakeClock())
    for name in "abcd":
        bucket.take(name)
    assert list(bucket._held) == ["b", "c", "d"]


@pytest.mark.parametrize(
    ("address", "network"),
    [("192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("", ""), ("a name", "a name")],
)
def test_one_strangers_addresses(address, network):
    assert network_of(address) == network


def test_each_scope_has_a_limit_of_its_own_and_each_key(small):
    make, clock, _ = small
    one, other = make("read", "run"), make("read")
    assert [one.get("/runs").status_code for _ in range(7)] == [200] * 6 + [429]
    refused = one.get("/runs")
    error = refused.json()["error"]
    assert (error["code"], error["message"]) == (
        "RATE_LIMITED",
        "this key has asked 6 times in a minute, which is the most",
    )
    assert refused.headers["retry-after"] == "10" == str(error["details"]["retry_after_seconds"])
    assert error["remedy"]
    assert other.get("/runs").status_code == 200
    assert [one.post("/runs/nothing/cancel").status_code for _ in range(3)] == [404, 404, 429]
    clock.advance(10)
    assert [one.get("/runs").status_code for _ in range(2)] == [200, 429]


def test_who_fails_too_often_waits_and_locks_nobody_out(small):
    make, clock, _ = small
    stranger, valid, elsewhere = make(), make("read"), make(address="192.0.2.2")
    assert [stranger.get("/runs").status_code for _ in range(5)] == [401, 401, 401, 429, 429]
    refused = stranger.get("/login", params={"token": "guess"})
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "20")
    assert "3 attempts from this address failed" in refused.json()["error"]["message"]
    assert valid.get("/runs").status_code == 200
    assert elsewhere.get("/runs").status_code == 401
    assert stranger.get("/healthz").status_code == 200
    clock.advance(20)
    assert stranger.get("/runs").status_code == 401


def test_a_queue_takes_so_many_of_one_owner(small):
    _, clock, parts = small
    submissions = Submissions(parts.database, clock, most_queued=lambda: 2)

    def submit(number, owner):
        new = NewJob(id=f"j{number}", kind="run", run_id=f"j{number}", spec={}, created_by=owner)
        return submissions.submit(new, idempotency_key=str(number))

    submit(1, "a")
    submit(2, "a")
    with pytest.raises(LimitError, match="2 jobs of a are waiting, which is the most") as caught:
        submit(3, "a")
    assert caught.value.http_status == 429
    assert submit(1, "a").id == "j1"
    submit(4, "b")
    parts.requests.cancel("j1")
    submit(3, "a")


def test_limits_come_from_the_settings():
    limits = Limits(ServiceSettings(inferences_per_minute=1), FakeClock())
    limits.take(Scope.INFER, "k")
    with pytest.raises(LimitError, match="asked 1 times"):
        limits.take(Scope.INFER, "k")
