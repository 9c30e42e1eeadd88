"""What other clients find in Redis."""

import json
import time

import pytest

from loquela.jobs.claims import Claims, Ended, Holder
from loquela.jobs.records import NewJob
from loquela.jobs.requests import Requests
from loquela.jobs.states import JobState, Reason
from loquela.jobs.submissions import Submissions
from loquela.service.redis_facts import CHANNEL, RedisFacts
from redis_server import RedisServer
from waiting import until


@pytest.fixture(scope="module")
def server():
    made = RedisServer()
    yield made
    made.close()


@pytest.fixture
def redis(server):
    client = server.client()
    client.flushall()
    return client


@pytest.fixture
def facts(parts, server):
    made = RedisFacts(server.url, parts.events, parts.listing, parts.archivist.rows)
    yield made
    made.stop()


def test_states_messages_and_beats_stand_under_the_published_names(redis, parts, clock, facts):
    until(lambda: redis.get("loquela:facts:seq") is not None)
    heard = redis.pubsub(ignore_subscribe_messages=True)
    heard.subscribe(CHANNEL)
    heard.get_message(timeout=1)
    Submissions(parts.database, clock).submit(
        NewJob(id="r1", kind="run", run_id="r1", spec={}, labels={"user_id": "42"})
    )
    claims = Claims(parts.database, clock)
    job = claims.started(claims.claim(Holder("w", "h", "b")), pid=1)
    until(lambda: redis.get("runs:status:r1") == b"running")
    until(lambda: redis.get("runs:hb:r1") is not None)
    from loquela.jobs.event_log import append_event

    with parts.database.write() as connection:
        append_event(
            connection, "trainer.metrics.progress.v1", at=clock.now(), job_id="r1", run_id="r1",
            data={"step": 3, "loss": float("nan")},
        )  # fmt: skip
    message = until(lambda: heard.get_message(timeout=1))
    body = json.loads(message["data"])
    assert (body["type"], body["job_id"], body["user_id"]) == ("trainer.metrics.progress.v1", "r1", "42")
    assert body["payload"] == {"step": 3, "loss": "NaN"}
    Requests(parts.database, clock).cancel("r1")
    until(lambda: redis.get("runs:r1:cancelled") == b"1")
    claims.end(job, Ended(JobState.INTERRUPTED, Reason.USER))
    until(lambda: redis.get("runs:status:r1") == b"cancelled")
    assert redis.get("runs:msg:r1") == b"Somebody asked for it."
    Requests(parts.database, clock).resume("r1")
    until(lambda: redis.get("runs:r1:cancelled") is None)


def test_a_redis_that_was_emptied_or_killed_is_filled_again(redis, server, parts, clock, facts):
    Submissions(parts.database, clock).submit(NewJob(id="r2", kind="run", run_id="r2", spec={}))
    until(lambda: redis.get("runs:status:r2") == b"queued")
    redis.flushall()
    until(lambda: redis.get("runs:status:r2") == b"queued")
    server.kill()
    time.sleep(0.5)
    server.start()
    Requests(parts.database, clock).cancel("r2")
    until(lambda: server.client().get("runs:status:r2") == b"cancelled")


def test_results_are_kept_for_other_clients(redis, parts, clock, facts):
    until(lambda: redis.get("loquela:facts:seq") is not None)
    parts.dispatcher.stop()
    name = "score-" + "0" * 32
    Submissions(parts.database, clock).submit(NewJob(id=name, kind="score", run_id="r3", spec={"text": "x"}))
    claims = Claims(parts.database, clock)
    claims.end(claims.claim(Holder("w", "h", "b")), Ended(JobState.SUCCEEDED, Reason.FINISHED, result={"loss": 1.5}))
    verify = NewJob(id="verify-1", kind="verify", run_id="r3", spec={})
    Submissions(parts.database, clock).submit(verify)
    until(lambda: redis.get(f"score:r3:{name}") is not None)
    assert json.loads(redis.get(f"score:r3:{name}")) == {"loss": 1.5}
    until(lambda: int(redis.get("loquela:facts:seq")) == parts.events.last_seq())
    assert redis.get("runs:status:r3") is None
