"""Two services on one data folder and one database: everything is done once, whoever dies."""

import time

import pytest
from fastapi.testclient import TestClient

from loquela.jobs.settings import ServiceSettings
from loquela.service import keeper
from loquela.service.app import build_app
from loquela.service.keys import Scope
from loquela.service.parts import make_parts
from stored_runs import ended_job, make_run


@pytest.fixture
def both(tmp_path, monkeypatch):
    monkeypatch.setattr(keeper, "LOOK_EVERY_SECONDS", 0.02)
    settings = ServiceSettings(data=tmp_path / "d", cleanup_enabled=True, cleanup_grace_period_seconds=0)
    made = [make_parts(settings), make_parts(settings)]
    yield made
    for parts in made:
        parts.close()


def until(fits, timeout=20.0):
    end = time.monotonic() + timeout
    while not fits():
        assert time.monotonic() < end
        time.sleep(0.01)


def names(parts):
    return [event.name for event in parts.events.after(0)]


def whose_turn(both):
    return [parts.keeper._turn._descriptor is not None for parts in both]


def test_one_of_them_stores_and_the_other_goes_on_when_it_is_gone(both):
    until(lambda: any(whose_turn(both)))
    keeping = whose_turn(both).index(True)
    one, other = both[keeping], both[1 - keeping]
    make_run(one.data, "tiny-1")
    ended_job(other.database, other.clock, "tiny-1")
    until(lambda: other.archivist.rows.of_run("tiny-1"))
    assert names(one).count("artifact.stored.v1") == 1
    assert whose_turn([one, other]) == [True, False]
    one.keeper.stop()
    until(lambda: whose_turn([one, other]) == [False, True])
    make_run(one.data, "tiny-2")
    ended_job(one.database, one.clock, "tiny-2")
    until(lambda: other.archivist.rows.of_run("tiny-2"))
    assert names(one).count("artifact.stored.v1") == 2
    assert "artifact.cleanup_failed.v1" not in names(one)
    assert "artifact.store_failed.v1" not in names(one)


def test_what_one_is_asked_the_other_answers(both, tmp_path):
    (both[0].settings.corpus / "story.txt").write_text("The fox walked to the house.\n" * 100)
    key = both[0].keys.create("k", [Scope.RUN, Scope.READ])[0].text
    one, other = (
        TestClient(build_app(parts), base_url="http://localhost", headers={"X-Api-Key": key}) for parts in both
    )
    body = {"recipe": {"data": {"sources": ["story.txt"]}}}
    headers = {"Idempotency-Key": "once"}
    runs = {client.post("/runs/train", json=body, headers=headers).json()["run_id"] for client in (one, other, one)}
    assert len(runs) == 1
    [run] = runs
    assert other.post(f"/runs/{run}/cancel").json()["state"] == "cancelled"
    assert one.get(f"/runs/{run}").json()["state"] == "cancelled"
    assert both[1].audit.page(action="run.submit")[0].target == run
