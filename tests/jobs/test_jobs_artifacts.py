"""What lies in the store is written down once, in both databases; what is due is stored, whoever died meanwhile."""

import os
import subprocess
import sys
import threading

import pytest
from sqlalchemy import update

from jobs_databases import fresh_database
from loquela.artifacts.crash_points import VARIABLE
from loquela.core.errors import DataError, LoquelaError, RecipeError
from loquela.jobs.adopter import Adopter
from loquela.jobs.archivist import Archivist
from loquela.jobs.event_log import EventLog
from loquela.jobs.listing import Listing
from loquela.jobs.records import NewJob
from loquela.jobs.settings import ServiceSettings
from loquela.jobs.states import JobState
from loquela.jobs.submissions import Submissions
from loquela.jobs.tables import jobs
from loquela.runs.stored.cleaning import clean_run
from loquela.runs.stored.pointer import read_pointer
from stored_runs import ended_job, everything, make_run


@pytest.fixture
def archivist(tmp_path, database, clock):
    return Archivist(ServiceSettings(data=tmp_path / "data"), database, clock)


@pytest.fixture
def run(archivist, database, clock):
    ended_job(database, clock, "tiny-1")
    return make_run(archivist.data)


def events(database, clock, name):
    return [event for event in EventLog(database, clock).after(0) if event.name == name]


def test_a_run_is_due_when_it_has_succeeded_and_after_every_job_on_it(archivist, database, clock, run):
    ended_job(database, clock, "failed-1", state=JobState.FAILED)
    assert archivist.rows.due() == ["tiny-1"]
    clock.advance(10)
    archivist.store_run("tiny-1")
    assert archivist.rows.due() == []
    clock.advance(10)
    ended_job(database, clock, "tiny-1", "generate", "generate-1")
    assert archivist.rows.due() == []
    ended_job(database, clock, "tiny-1", "evaluate", "evaluate-1")
    assert archivist.rows.due() == ["tiny-1"]
    clock.advance(1)
    archivist.store_run("tiny-1")
    assert archivist.rows.due() == []


def test_only_what_has_ended_since_is_looked_at(archivist, database, clock, run):
    assert archivist.rows.ended_since(0)[0] == {"tiny-1"}
    seen = archivist.rows.ended_since(0)[1]
    assert archivist.rows.ended_since(seen) == (set(), seen)
    ended_job(database, clock, "other-1", state=JobState.FAILED)
    assert archivist.rows.ended_since(seen)[0] == {"other-1"}
    assert archivist.rows.due({"tiny-1", "other-1"}) == ["tiny-1"]
    assert archivist.rows.due({"other-1"}) == []


def test_what_was_stored_is_written_down_and_said(archivist, database, clock, run):
    archivist.store_run("tiny-1")
    found = archivist.rows.of_run("tiny-1")
    assert [each.kind for each in found] == ["run", "model", "tokenizer", "evaluation", "export"]
    [said] = events(database, clock, "artifact.stored.v1")
    assert said.run_id == "tiny-1" and said.data["file_id"] == found[0].sha256 == read_pointer(run).file_id
    assert archivist.rows.get("export", "tiny-1.onnx-int8").size_bytes > 0
    with pytest.raises(RecipeError, match="there is no stored model 'other'"):
        archivist.rows.get("model", "other")
    assert b"".join(archivist.read(found[1], 0, 5)) == b"manif"


def test_pages_go_on_where_the_last_one_ended(archivist, clock, database):
    for number in range(3):
        make_run(archivist.data, f"run-{number}")
        archivist.store_run(f"run-{number}")
    first = archivist.rows.page(limit=2, kind="run")
    assert [each.run_id for each in first.artifacts] == ["run-2", "run-1"]
    rest = archivist.rows.page(limit=2, kind="run", before=first.next_before)
    assert [each.run_id for each in rest.artifacts] == ["run-0"] and rest.next_before is None
    assert len(list(archivist.rows.all())) == 15


def test_a_run_that_was_stored_anew_takes_the_place_of_what_it_was(archivist, run):
    archivist.store_run("tiny-1")
    old = read_pointer(run).file_id
    (run / "eval" / "more.json").write_bytes(b"{}")
    archivist.store_run("tiny-1")
    new = read_pointer(run).file_id
    assert new != old and archivist.store.size(old) is None and archivist.store.size(new)
    assert archivist.rows.of_run("tiny-1")[0].sha256 == new


def test_another_store_holds_it_again_and_says_what_it_does_not_hold(archivist, database, clock, run, tmp_path):
    archivist.store_run("tiny-1")
    old = archivist.rows.get("run", "tiny-1")
    elsewhere = ServiceSettings(data=archivist.data, artifact_url=str(tmp_path / "elsewhere"))
    moved = Archivist(elsewhere, database, clock)
    assert moved.rows.due() == ["tiny-1"]
    with pytest.raises(DataError, match="lies in the data folder, which is not the store in use"):
        moved.read(old)
    moved.store_run("tiny-1")
    assert moved.rows.due() == [] and archivist.rows.due() == ["tiny-1"]
    assert b"".join(moved.read(moved.rows.get("run", "tiny-1"), 0, 4)) == b"best"


def test_many_at_once_write_it_down_once(archivist, database, clock, run):
    others = [Archivist(ServiceSettings(data=archivist.data), database, clock) for _ in range(4)]
    refused = []

    def store(one):
        try:
            one.store_run("tiny-1")
        except LoquelaError as error:
            refused.append(error.code)

    threads = [threading.Thread(target=store, args=(one,)) for one in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(refused) <= {"RUN_LOCKED"} and len(refused) < 4
    assert len(archivist.rows.of_run("tiny-1")) == 5 and archivist.rows.due() == []


def test_a_run_whose_folder_is_gone_comes_back_whole(archivist, run):
    before = everything(run)
    archivist.store_run("tiny-1")
    assert archivist.is_here("tiny-1")
    run.rename(run.with_name("moved-away"))
    assert not archivist.is_here("tiny-1")
    assert everything(archivist.model_folder("tiny-1")) == before
    assert archivist.is_here("tiny-1")
    assert archivist.model_folder("never-stored") == archivist.data / "runs" / "never-stored"


def test_what_may_be_cleaned_is_old_enough_and_nobody_works_on_it(archivist, database, clock, run):
    archivist.store_run("tiny-1")
    assert archivist.rows.cleanable(clock.now() - 1) == []
    assert [each.run_id for each in archivist.rows.cleanable(clock.now())] == ["tiny-1"]
    Submissions(database, clock).submit(NewJob(id="e", kind="evaluate", run_id="tiny-1", spec={}))
    assert archivist.rows.cleanable(clock.now()) == []


def found_on_the_command_line(archivist, database, clock, run_id="by-hand-1"):
    make_run(archivist.data, run_id)
    Adopter(archivist.data, database, clock).look()
    assert Listing(database).get(run_id).state == "succeeded"


def test_what_was_made_on_the_command_line_is_left_alone_until_somebody_works_on_it_here(archivist, database, clock):
    found_on_the_command_line(archivist, database, clock)
    clock.advance(10)
    assert archivist.rows.due() == [] == archivist.rows.due({"by-hand-1"})
    ended_job(database, clock, "by-hand-1", "evaluate", "evaluate-1")
    assert archivist.rows.due() == []
    # Stored because somebody asked, it is still not cleaned.
    archivist.store_run("by-hand-1")
    clock.advance(10)
    assert archivist.rows.cleanable(clock.now()) == []
    with database.write() as connection:
        connection.execute(update(jobs).where(jobs.c.id == "by-hand-1").values(fence=1))
    assert [each.run_id for each in archivist.rows.cleanable(clock.now())] == ["by-hand-1"]


@pytest.mark.parametrize("jump", [3600, 31_536_000])
def test_a_clock_that_was_set_back_hides_nothing_that_was_done_since(archivist, database, clock, run, jump):
    clock.advance(jump)
    archivist.store_run("tiny-1")
    clock.advance(-jump)
    ended_job(database, clock, "tiny-1", "evaluate", "evaluate-1")
    assert archivist.rows.due() == ["tiny-1"]
    clock.advance(1)
    archivist.store_run("tiny-1")
    assert archivist.rows.due() == []


def test_a_service_is_called_the_same_for_as_long_as_its_database_lives(archivist, database, clock, tmp_path):
    mark = archivist.rows.mark()
    ended_job(database, clock, "tiny-1")
    assert archivist.rows.mark() == mark
    (tmp_path / "another").mkdir()
    with fresh_database("sqlite", tmp_path / "another") as other:
        assert Archivist(ServiceSettings(data=tmp_path / "data"), other, clock).rows.mark() != mark


STORE = """
import sys
from pathlib import Path
from loquela.jobs.archivist import Archivist
from loquela.jobs.clock import SystemClock
from loquela.jobs.database import Database
from loquela.jobs.settings import ServiceSettings
Archivist(ServiceSettings(data=Path(sys.argv[1])), Database(sys.argv[2]), SystemClock()).store_run("tiny-1")
"""


@pytest.mark.parametrize("point", ["storing:1", "stored:4", "before_rows"])
def test_killed_while_it_stores_it_is_due_until_it_is_written_down(archivist, database, clock, run, point):
    if not database.is_sqlite:
        pytest.skip("the kill is between files and rows, whichever rows they are")
    command = [sys.executable, "-c", STORE, str(archivist.data), database.url]
    done = subprocess.run(command, check=False, env={**os.environ, VARIABLE: point}, capture_output=True)
    assert done.returncode == -9
    assert archivist.rows.due() == ["tiny-1"] and archivist.rows.of_run("tiny-1") == []
    archivist.store_run("tiny-1")
    assert archivist.rows.due() == [] and len(archivist.rows.of_run("tiny-1")) == 5
    clean_run(run, archivist.store, dry_run=False)
    assert (archivist.model_folder("tiny-1") / "final" / "model.safetensors").is_file()
