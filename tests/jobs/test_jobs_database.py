import multiprocessing
import os
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import select

from loquela.core.errors import RecipeError, ResourceError
from loquela.jobs.claims import Claims, Holder
from loquela.jobs.clock import SystemClock
from loquela.jobs.database import Database, shown, sqlite_url
from loquela.jobs.records import NewJob
from loquela.jobs.schema import migrate
from loquela.jobs.submissions import Submissions
from loquela.jobs.tables import jobs, metadata


def test_the_steps_make_what_the_tables_say(database):
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_a_database_that_is_new_enough_is_left_alone(database, monkeypatch):
    Submissions(database, SystemClock()).submit(NewJob(id="kept", kind="run", run_id="kept", spec={}))
    monkeypatch.setattr("alembic.op.create_table", None)
    migrate(database)
    migrate(database)
    with database.read() as connection:
        assert connection.execute(select(jobs.c.id)).scalars().all() == ["kept"]


def test_a_schema_from_the_future_is_refused(database):
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ResourceError, match="has a schema \\(9999\\) that this version does not know"):
        migrate(database)


@pytest.mark.parametrize("url", ["mysql://a:b@c/d", "nonsense", "sqlite3://x"])
def test_another_kind_of_database_is_refused(url):
    with pytest.raises(RecipeError, match="is not a database that the service can use"):
        Database(url)


def test_a_password_is_never_shown():
    assert "hunter2" not in shown("postgresql://me:hunter2@here/books")
    with pytest.raises(RecipeError) as refused:
        Database("mysql://me:hunter2@here/books")
    assert "hunter2" not in str(refused.value)


def test_a_database_that_is_gone_is_said_to_be_so(tmp_path):
    database = Database(sqlite_url(tmp_path / "absent" / "jobs.db"))
    with pytest.raises(ResourceError, match="cannot be used: unable to open database file") as gone:
        migrate(database)
    assert gone.value.retryable


def test_what_raises_inside_a_transaction_leaves_nothing(database):
    submissions = Submissions(database, SystemClock())
    with pytest.raises(ZeroDivisionError), database.write() as connection:
        connection.execute(
            jobs.insert().values(
                id="x",
                kind="run",
                run_id="x",
                spec="{}",
                spec_digest="",
                state="queued",
                created_at=0.0,
                updated_at=0.0,
            )
        )
        raise ZeroDivisionError
    with database.read() as connection:
        assert connection.execute(select(jobs)).all() == []
    assert submissions.submit(NewJob(id="x", kind="run", run_id="x", spec={})).id == "x"


def test_sqlite_is_opened_as_it_must_be(tmp_path):
    database = Database(sqlite_url(tmp_path / "jobs.db"))
    with database.read() as connection:
        read = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    database.close()
    assert read == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 15000}


def _claim_all(url: str, worker: str, out: str) -> None:
    database = Database(url)
    claims = Claims(database, SystemClock())
    taken = []
    while (job := claims.claim(Holder(worker, "here", "boot"))) is not None:
        taken.append(job.id)
    database.close()
    Path(out).write_text("\n".join(taken))


def test_processes_that_claim_at_once_share_the_jobs_out(database, tmp_path):
    submissions = Submissions(database, SystemClock())
    wanted = [f"job-{number}" for number in range(30)]
    for name in wanted:
        submissions.submit(NewJob(id=name, kind="run", run_id=name, spec={}))
    context = multiprocessing.get_context("spawn")
    outs = [tmp_path / f"worker-{number}" for number in range(3)]
    workers = [context.Process(target=_claim_all, args=(database.url, out.name, str(out))) for out in outs]
    for process in workers:
        process.start()
    for process in workers:
        process.join(timeout=60)
    taken = [name for out in outs for name in out.read_text().split()]
    assert sorted(taken) == sorted(wanted)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to anything")
def test_a_read_only_database_is_said_to_be_so(tmp_path):
    path = tmp_path / "jobs.db"
    database = Database(sqlite_url(path))
    migrate(database)
    database.close()
    path.chmod(0o444)
    with pytest.raises(ResourceError, match="readonly"):
        Submissions(Database(sqlite_url(path)), SystemClock()).submit(NewJob(id="x", kind="run", run_id="x", spec={}))


def test_a_locked_database_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("loquela.jobs.database.BUSY_SECONDS", 0.2)
    path = tmp_path / "jobs.db"
    database = Database(sqlite_url(path))
    migrate(database)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(ResourceError, match="database is locked"):
        Submissions(database, SystemClock()).submit(NewJob(id="x", kind="run", run_id="x", spec={}))
    holder.execute("ROLLBACK")
    holder.close()
    assert Submissions(database, SystemClock()).submit(NewJob(id="x", kind="run", run_id="x", spec={})).id == "x"
    database.close()


def test_a_number_that_no_database_holds_is_the_callers_fault(database):
    with pytest.raises(RecipeError, match="is none that the database can hold"), database.read() as connection:
        connection.execute(select(jobs.c.id).where(jobs.c.seq < 10**40))
