"""Tarballs that a kill left without a name go a day later; what anybody may still need stays."""

import hashlib
import os
import subprocess
import sys

import pytest
from test_jobs_artifacts import STORE

from jobs_databases import fresh_database
from loquela.artifacts.crash_points import VARIABLE
from loquela.jobs.archivist import Archivist
from loquela.jobs.audit import AuditLog
from loquela.jobs.cleanup import UNNAMED_SECONDS, CleanUp
from loquela.jobs.event_log import EventLog
from loquela.jobs.settings import ServiceSettings
from loquela.jobs.turns import STORING, beside_others
from stored_runs import ended_job, make_run

DAYS = 400 * 86_400.0


class Service:
    """A service with a store of its own, or one that it shares."""

    def __init__(self, home, clock, **settings):
        self._opened = fresh_database("sqlite", home)
        self.clock, self.database = clock, self._opened.__enter__()
        chosen = ServiceSettings(data=home / "data", **settings)
        (chosen.data / "keys").mkdir(parents=True)
        self.archivist = Archivist(chosen, self.database, clock)
        self.audit = AuditLog(self.database, clock, b"secret", chosen.data / "keys" / "audit.anchor")
        self.cleaner = CleanUp(chosen, self.archivist, clock, self.audit)
        self.store = self.archivist.store

    def run(self, run_id="tiny-1"):
        ended_job(self.database, self.clock, run_id)
        made = make_run(self.archivist.data, run_id)
        self.archivist.store_run(run_id)
        return made

    def unnamed(self, data=b"left by a kill", age=2 * UNNAMED_SECONDS):
        """A tarball that nothing names, so old by the clock of the service."""
        sha256 = hashlib.sha256(data).hexdigest()
        self.store.put(sha256, len(data), iter([data]))
        at = self.clock.now() - age
        os.utime(self.archivist.data.parent / self.store.address / "sha256" / sha256[:2] / sha256, (at, at))
        return sha256

    def told(self):
        names = [event.name for event in EventLog(self.database, self.clock).after(0)]
        return [name for name in names if name.startswith("artifact.cleanup")]

    def close(self):
        self._opened.__exit__(None, None, None)


@pytest.fixture
def make(tmp_path, clock):
    made = []

    def service(name="one", **settings):
        (tmp_path / name).mkdir()
        made.append(Service(tmp_path / name, clock, **settings))
        return made[-1]

    yield service
    for each in made:
        each.close()


def test_what_nothing_names_goes_after_a_day_and_the_rest_stays(make):
    service = make()
    service.run()
    before = {blob.sha256 for blob in service.store.blobs()}
    old, young = service.unnamed(), service.unnamed(b"just written", age=0)
    [would] = service.cleaner.all(dry_run=True)
    assert (would.what, would.id, would.outcome, would.bytes_freed) == ("tarball", old, "dry_run", 14)
    assert service.store.size(old) == 14
    [gone] = service.cleaner.all(dry_run=False)
    assert gone.id == old and gone.outcome == "completed"
    assert {blob.sha256 for blob in service.store.blobs()} == before | {young}
    assert service.cleaner.all(dry_run=False) == []
    assert service.told() == ["artifact.cleanup_dry_run.v1", "artifact.cleanup_completed.v1"]
    [entry] = service.audit.page(action="artifacts.clean_up")
    assert entry.target == f"tarball {old}"


def test_what_a_kill_left_between_two_versions_goes(make):
    service = make()
    run = service.run()
    (run / "eval" / "more.json").write_bytes(b"{}")
    command = [sys.executable, "-c", STORE, str(service.archivist.data), service.database.url]
    killed = subprocess.run(command, check=False, env={**os.environ, VARIABLE: "before_rows"}, capture_output=True)
    assert killed.returncode == -9
    (run / "eval" / "more.json").write_bytes(b"{ }")
    # Until it is stored anew the pointer names what no row does.
    service.clock.advance(DAYS)
    assert [each.id for each in service.cleaner.tarballs(dry_run=True)] != []
    assert service.archivist.pointed() & {each.id for each in service.cleaner.tarballs(dry_run=True)} == set()
    service.archivist.store_run("tiny-1")
    left = {each.id for each in service.cleaner.tarballs(dry_run=False)}
    # The killed version's run and evaluation, and the evaluation of the version before it.
    assert len(left) == 3
    assert {blob.sha256 for blob in service.store.blobs()} == service.archivist.rows.named()
    assert not left & service.archivist.rows.named()


def test_nothing_goes_while_somebody_stores_a_run(make):
    service = make()
    service.run()
    service.unnamed()
    with beside_others(service.archivist.data, STORING):
        assert service.cleaner.tarballs(dry_run=False) == []
    assert len(service.cleaner.tarballs(dry_run=False)) == 1


def test_two_services_in_one_place_take_nothing_from_each_other(make, tmp_path):
    place = str(tmp_path / "shelf")
    one, two = make("one", artifact_url=place), make("two", artifact_url=place)
    one.run("tiny-1")
    one.unnamed()
    assert len(one.cleaner.tarballs(dry_run=True)) == 1
    two.run("tiny-2")
    for service in (one, two):
        service.clock.advance(DAYS)
        [kept] = service.cleaner.tarballs(dry_run=False)
        assert kept.outcome == "failed" and "another service keeps tarballs in the same place" in kept.message
    assert len(list(one.store.blobs())) == 11
    # Said once, not every ten minutes.
    assert one.told().count("artifact.cleanup_failed.v1") == 1


def test_a_new_database_knows_nothing_and_removes_nothing(make, tmp_path):
    place = str(tmp_path / "shelf")
    lost = make("lost", artifact_url=place)
    lost.run()
    new = make("new", artifact_url=place)
    new.clock.advance(DAYS)
    assert [each.outcome for each in new.cleaner.tarballs(dry_run=False)] == ["failed"]
    assert len(list(new.store.blobs())) == 5


def test_a_pointer_that_cannot_be_read_keeps_everything(make):
    service = make()
    run = service.run()
    service.unnamed()
    (run / "pointer.json").write_bytes(b"garbage")
    [kept] = service.cleaner.tarballs(dry_run=False)
    assert kept.outcome == "failed" and "pointer.json cannot be read" in kept.message
