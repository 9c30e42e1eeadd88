"""The audit log on both databases: one chain, whoever writes, and every way to break it is told."""

import threading

import pytest
from sqlalchemy import delete, insert, select, update

from loquela.core.errors import DataError, RecipeError, ResourceError
from loquela.jobs.actor import ACTOR, Actor
from loquela.jobs.audit import AuditLog
from loquela.jobs.audit_check import verify_audit
from loquela.jobs.database import Database
from loquela.jobs.listing import Listing
from loquela.jobs.records import NewJob
from loquela.jobs.requests import Requests
from loquela.jobs.schema import migrate
from loquela.jobs.submissions import Submissions
from loquela.jobs.tables import audit

SECRET = b"s" * 32


@pytest.fixture
def log(database, clock, tmp_path):
    return AuditLog(database, clock, SECRET, tmp_path / "keys" / "audit.anchor")


def without_guard(database):
    """What somebody does first who may alter the schema."""
    with database.write() as connection:
        if database.is_sqlite:
            for name in ("audit_no_update", "audit_no_delete", "audit_no_replace"):
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            connection.exec_driver_sql("DROP TRIGGER audit_append_only ON audit")


@pytest.fixture
def long(log):
    for number in range(8):
        log.note("act", f"t{number}", details={"n": number, "ö": None})
    without_guard(log.database)
    return log


def broken(log):
    report = verify_audit(log)
    assert not report.whole
    return report.broken_at, report.problem


def test_a_log_is_whole_and_says_who_did_what(log, clock):
    assert verify_audit(log).whole
    token = ACTOR.set(Actor("key1", "192.0.2.1", "r-1"))
    log.note("run.submit", "run-1", details={"x": 1.5})
    assert ACTOR.get().noted
    ACTOR.reset(token)
    log.note("key.create", "k")
    first, second = log.page()
    assert (first.seq, first.actor, first.address, first.request_id) == (1, "key1", "192.0.2.1", "r-1")
    assert (first.action, first.target, first.outcome, first.details) == ("run.submit", "run-1", "done", {"x": 1.5})
    assert (first.at, second.previous, second.actor[:5]) == (clock.now(), first.digest, "user:")
    report = verify_audit(log)
    assert (report.whole, report.entries, report.anchored, report.last_digest) == (True, 2, 2, second.digest)
    assert [entry.seq for entry in log.page(action="key.create")] == [2]
    assert [entry.seq for entry in log.page(after=1)] == [2]


def test_the_database_itself_refuses_to_change_or_remove_an_entry(log, database):
    for number in range(3):
        log.note("act", f"t{number}")
    tried = ["UPDATE audit SET target = 'x'", "UPDATE audit SET seq = 9 WHERE seq = 3", "DELETE FROM audit"]
    tried.append("REPLACE INTO audit SELECT * FROM audit" if database.is_sqlite else "TRUNCATE audit CASCADE")
    for guarded in range(2):
        for statement in tried:
            with pytest.raises(ResourceError, match="the audit log is only appended to"):
                with database.write() as connection:
                    connection.exec_driver_sql(statement)
        assert verify_audit(log).entries == 3
        # A database that lost the guard, or never had it, has it again at the next start.
        if not guarded:
            without_guard(database)
            migrate(database)


@pytest.mark.parametrize("column", ["at", "actor", "action", "target", "outcome", "details", "request_id", "previous"])
def test_a_changed_entry_is_named(long, database, column):
    with database.write() as connection:
        changed = {"at": 5.0, "details": "{}"}.get(column, "x")
        connection.execute(update(audit).where(audit.c.seq == 4).values({column: changed}))
    assert broken(long) == (4, "entry 4 is not as it was written: changed, put in or moved")


def test_an_entry_that_is_nonsense_is_named(long, database):
    with database.write() as connection:
        connection.execute(update(audit).where(audit.c.seq == 4).values(details="not JSON"))
    place, problem = broken(long)
    assert (place, "entry 4 of the audit log is not as it was written" in problem) == (4, True)
    with pytest.raises(DataError, match="entry 4 of the audit log is not as it was written: it cannot be read"):
        long.page()


def test_a_removed_entry_is_named(long, database):
    with database.write() as connection:
        connection.execute(delete(audit).where(audit.c.seq == 4))
    assert broken(long) == (4, "entry 4 is missing: 5 stands in its place")
    with database.write() as connection:
        connection.execute(delete(audit).where(audit.c.seq < 4))
    assert broken(long)[0] == 1


def test_an_end_that_was_cut_off_is_named_by_the_anchor(long, database):
    with database.write() as connection:
        connection.execute(delete(audit).where(audit.c.seq > 5))
    assert broken(long) == (6, "entries 6 to 8 were removed from the end")
    # What is written afterwards covers nothing up: the anchor stays where it was.
    for _ in range(5):
        long.note("act", "later")
    assert broken(long) == (8, "entry 8 is another than the one that the anchor beside the database names")


def test_moved_and_put_in_entries_are_named(long, database):
    with database.write() as connection:
        rows = {row.seq: dict(row._mapping) for row in connection.execute(select(audit))}
        for seq, other in ((3, 4), (4, 3)):
            connection.execute(update(audit).where(audit.c.seq == seq).values({**rows[other], "seq": seq}))
    assert broken(long)[0] == 3
    with database.write() as connection:
        for seq in (3, 4):
            connection.execute(update(audit).where(audit.c.seq == seq).values(rows[seq]))
    assert verify_audit(long).whole
    with database.write() as connection:
        connection.execute(insert(audit).values({**rows[8], "seq": 9}))
    assert broken(long)[0] == 9
    with database.write() as connection:
        connection.execute(update(audit).where(audit.c.seq == 9).values(seq=0))
    assert broken(long) == (1, "entry 1 is missing: 0 stands in its place")


def test_a_log_that_another_secret_wrote_does_not_fit(long, database, clock):
    forger = AuditLog(database, clock, b"f" * 32, long.anchor.path)
    with database.write() as connection:
        forger.append(connection, "act", "forged")
    assert broken(long)[0] == 9


def test_a_chain_that_is_written_anew_without_its_middle_does_not_fit(long, database, clock):
    """Even with the secret: the anchor names another entry."""
    kept = [entry for entry in long.page() if entry.seq != 4]
    with database.write() as connection:
        connection.execute(delete(audit))
        for entry in [*kept, kept[0]]:
            long.append(connection, entry.action, entry.target, details=entry.details)
    assert broken(long) == (8, "entry 8 is another than the one that the anchor beside the database names")


def test_an_anchor_that_is_gone_or_damaged_is_told(long):
    long.anchor.path.write_text("{")
    assert "the audit log's anchor audit.anchor cannot be read" in broken(long)[1]
    with pytest.raises(DataError, match="it is damaged, or was changed"):
        long.anchor.read()
    long.note("act", "goes on")
    assert "cannot be read" in broken(long)[1]
    long.anchor.path.unlink()
    assert broken(long) == (None, "the anchor beside the database is gone: nothing shows whether the end is whole")


def test_an_act_that_fails_leaves_no_entry(log, database):
    with pytest.raises(RuntimeError), log.writing() as connection:
        log.append(connection, "act", "t")
        raise RuntimeError
    assert (log.page(), log.anchor.read()) == ([], None)


def test_two_writers_continue_one_chain(database, clock, tmp_path):
    failed = []

    def write(name):
        try:
            own = Database(database.url)
            log = AuditLog(own, clock, SECRET, tmp_path / "keys" / "audit.anchor")
            for number in range(15):
                log.note("act", f"{name}{number}")
            own.close()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    log = AuditLog(database, clock, SECRET, tmp_path / "keys" / "audit.anchor")
    report = verify_audit(log)
    assert (report.whole, report.entries, report.anchored) == (True, 45, 45)
    for name in "abc":
        assert [entry.target for entry in log.page() if entry.target[0] == name] == [f"{name}{n}" for n in range(15)]


def test_a_long_log_is_read_in_pages(log, monkeypatch):
    monkeypatch.setattr("loquela.jobs.audit_check.PAGE", 3)
    for number in range(7):
        log.note("act", str(number))
    assert verify_audit(log).entries == 7


def test_jobs_are_written_down_with_what_is_done_to_them(log, database, clock):
    submissions = Submissions(database, clock, audit=log)
    requests = Requests(database, clock, log)
    new = NewJob(id="r1", kind="run", run_id="r1", spec={"recipe": {"secret": "planted"}})
    for _ in range(2):
        submissions.submit(new, idempotency_key="k")
    submissions.submit(NewJob(id="g1", kind="generate", run_id="r1", spec={}))
    for _ in range(2):
        requests.cancel("r1")
    requests.resume("r1")
    with pytest.raises(RecipeError):
        requests.resume("nothing")
    assert [(entry.action, entry.target) for entry in log.page()] == [
        ("run.submit", "r1"), ("run.cancel", "r1"), ("run.resume", "r1"),
    ]  # fmt: skip
    assert "planted" not in str(log.page())
    assert Listing(database).get("g1").kind == "generate"
    assert verify_audit(log).whole
