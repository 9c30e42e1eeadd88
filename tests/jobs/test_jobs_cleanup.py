"""What may go goes, oldest first and no more than asked for; what is needed, or not proven to be stored, stays."""

import os

import pytest

from jobs_databases import fresh_database
from loquela.artifacts.manifest import write_manifest
from loquela.core.atomic import write_error
from loquela.jobs import cleanup
from loquela.jobs.archivist import Archivist
from loquela.jobs.audit import AuditLog
from loquela.jobs.cleanup import CleanUp
from loquela.jobs.event_log import EventLog
from loquela.jobs.settings import ServiceSettings
from loquela.runs.lock import RunLock
from loquela.runs.manifest import StageRecord, load_run_manifest
from loquela.runs.status import Phase
from loquela.runs.stored import pointer as pointers
from stored_runs import TOKENIZER_KEY, ended_job, everything, make_run

GRACE = 1000.0


@pytest.fixture
def database(tmp_path):
    with fresh_database("sqlite", tmp_path) as opened:
        yield opened


@pytest.fixture
def service(tmp_path, database, clock):
    """Makes a clean-up with the settings given."""

    def make(**settings):
        data = tmp_path / "data"
        chosen = ServiceSettings(data=data, cleanup_grace_period_seconds=GRACE, **settings)
        (data / "keys").mkdir(parents=True, exist_ok=True)
        audit = AuditLog(database, clock, b"secret", data / "keys" / "audit.anchor")
        archivist = Archivist(chosen, database, clock)
        made = CleanUp(chosen, archivist, clock, audit)
        made.archivist, made.audit, made.data = archivist, audit, data
        return made

    return make


def stored(service, database, clock, run_id="tiny-1", **facts):
    ended_job(database, clock, run_id)
    run = make_run(service.data, run_id, **facts)
    service.archivist.store_run(run_id)
    return run


def names(database, clock):
    return [event.name for event in EventLog(database, clock).after(0) if event.name.startswith("artifact.cleanup")]


def test_a_run_goes_when_its_grace_period_is_over(service, database, clock):
    cleaner = service()
    run = stored(cleaner, database, clock)
    os.utime(run / "pointer.lock", (1, 1))
    assert cleaner.all(dry_run=False) == []
    clock.advance(GRACE)
    before = everything(run)
    [would] = cleaner.all(dry_run=True)
    assert (would.what, would.id, would.outcome) == ("run", "tiny-1", "dry_run") and everything(run) == before
    [gone] = cleaner.all(dry_run=False)
    assert gone.bytes_freed == would.bytes_freed > 0 and gone.files_deleted == would.files_deleted
    assert not (run / "final").exists() and (run / "logs" / "system.log").is_file()
    assert cleaner.all(dry_run=False) == []
    assert names(database, clock) == ["artifact.cleanup_dry_run.v1", "artifact.cleanup_completed.v1"]
    last = EventLog(database, clock).after(0)[-1].data
    assert last["event"] == "cleanup_completed" and last["path"] == str(run) and last["bytes_freed"] > 0
    [entry] = cleaner.audit.page(action="artifacts.clean_up")
    assert entry.target == "run tiny-1"
    assert cleaner.archivist.rows.get("run", "tiny-1").cleaned_at == clock.now()


def test_a_run_that_somebody_needed_meanwhile_stays_for_another_grace_period(service, database, clock, monkeypatch):
    cleaner = service()
    run = stored(cleaner, database, clock)
    clock.advance(GRACE)
    cleaner.archivist.model_folder("tiny-1")
    os.utime(run / "pointer.lock", (clock.now(), clock.now()))
    assert cleaner.runs(dry_run=False) == []
    clock.advance(GRACE)
    assert [each.id for each in cleaner.runs(dry_run=False)] == ["tiny-1"]
    # Brought back, it may go again.
    cleaner.archivist.model_folder("tiny-1")
    os.utime(run / "pointer.lock", (1, 1))
    assert [each.id for each in cleaner.runs(dry_run=False)] == ["tiny-1"]


def test_what_is_worked_on_or_can_be_resumed_or_was_changed_stays(service, database, clock):
    cleaner = service()
    locked = stored(cleaner, database, clock, "locked")
    halfway = stored(cleaner, database, clock, "halfway", phase=Phase.MODEL_TRAINING)
    changed = stored(cleaner, database, clock, "changed")
    (changed / "final" / "model.safetensors").write_bytes(b"by hand")
    for run in (locked, halfway, changed):
        os.utime(run / "pointer.lock", (1, 1))
    clock.advance(GRACE)
    with RunLock(locked):
        [kept] = cleaner.runs(dry_run=False)
    assert (kept.id, kept.outcome) == ("changed", "failed")
    assert kept.message == "nothing of changed is removed: it is not as it was when it was stored"
    assert (halfway / "checkpoints").is_dir() and (locked / "final").is_dir() and (changed / "final").is_dir()
    with RunLock(locked):
        cleaner.runs(dry_run=False)
    assert names(database, clock) == ["artifact.cleanup_failed.v1"]


def test_no_more_runs_go_than_space_is_wanted(service, database, clock, monkeypatch):
    cleaner = service(cleanup_min_free_bytes=100_000)
    for number in range(3):
        run = stored(cleaner, database, clock, f"run-{number}")
        os.utime(run / "pointer.lock", (1, 1))
        clock.advance(1)
    clock.advance(GRACE)
    free = iter([90_000, 99_000, 108_000])
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": next(free)}))
    assert [each.id for each in cleaner.runs(dry_run=False)] == ["run-0", "run-1"]


def cache_entry(data, kind, key, size, made_at):
    folder = data / "artifacts" / kind / key
    folder.mkdir(parents=True)
    (folder / "data.bin").write_bytes(bytes(size))
    write_manifest(folder, kind)
    os.utime(folder / "manifest.json", (made_at, made_at))
    return folder


def reading(run, **keys):
    manifest = load_run_manifest(run)
    manifest.stages = {
        stage: StageRecord(stage=stage, key=key, digest="d", directory="x", reused=False, seconds=0)
        for stage, key in keys.items()
    }
    manifest.save(run)


def test_prepared_data_goes_what_was_not_used_for_longest_first(service, database, clock):
    cleaner = service(corpus_cache_max_bytes=25_000)
    data = cleaner.data
    keys = ["0" * 15 + str(n) for n in range(4)]
    folders = [cache_entry(data, "shards", key, 10_000, 100.0 + n) for n, key in enumerate(keys)]
    done = make_run(data, "done-1")
    reading(done, prepare=keys[0])
    going_on = make_run(data, "stopped-1", phase=Phase.MODEL_TRAINING)
    reading(going_on, prepare=keys[1])
    assert [each.id for each in cleaner.caches(dry_run=True)] == [f"shards/{keys[2]}", f"shards/{keys[3]}"]
    # Two of four go: those of the run at work stay although they are the oldest, those of a run of today stay longest.
    assert [each.id for each in cleaner.caches(dry_run=False)] == [f"shards/{keys[2]}", f"shards/{keys[3]}"]
    assert [folder.exists() for folder in folders] == [True, True, False, False]
    assert cleaner.caches(dry_run=False) == []
    assert service().caches(dry_run=False) == []


def test_prepared_data_goes_while_too_little_is_free(service, database, clock, monkeypatch):
    cleaner = service(corpus_cache_min_free_bytes=100)
    for number in range(2):
        cache_entry(cleaner.data, "corpus", "a" * 15 + str(number), 10, number)
    cache_entry(cleaner.data, "base", "b" * 16, 10, 1)
    free = iter([99, 100, 100])
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": next(free)}))
    assert [each.id for each in cleaner.caches(dry_run=False)] == ["corpus/" + "a" * 15 + "0"]


def test_tokenizers_that_no_model_uses_go_after_their_days(service, database, clock):
    cleaner = service(tokenizer_min_unused_days=2)
    now = clock.now()
    day = 86_400.0
    cache_entry(cleaner.data, "tokenizer", TOKENIZER_KEY, 5, now - 9 * day)
    old = cache_entry(cleaner.data, "tokenizer", "f" * 16, 5, now - 3 * day)
    young = cache_entry(cleaner.data, "tokenizer", "e" * 16, 5, now - 1 * day)
    run = make_run(cleaner.data)
    reading(run, tokenizer=TOKENIZER_KEY, prepare="0" * 16)
    assert [each.id for each in cleaner.tokenizers(dry_run=False)] == ["tokenizer/" + "f" * 16]
    assert not old.exists() and young.exists()
    # A run that only made a tokenizer is no model.
    reading(run, tokenizer=TOKENIZER_KEY)
    assert [each.id for each in cleaner.tokenizers(dry_run=True)] == [f"tokenizer/{TOKENIZER_KEY}"]
    (run / "status.json").write_bytes(b"garbage")
    assert cleaner.tokenizers(dry_run=True) == []
    assert service().tokenizers(dry_run=True) == []


def test_what_cannot_be_removed_is_told_and_the_rest_goes(service, database, clock, monkeypatch):
    cleaner = service(corpus_cache_max_bytes=0)
    bad = cache_entry(cleaner.data, "corpus", "a" * 16, 10, 1)
    cache_entry(cleaner.data, "corpus", "b" * 16, 10, 2)
    real = cleanup.remove_folder

    def refuse(folder):
        if folder == bad:
            raise write_error(PermissionError(13, "Permission denied"), folder)
        real(folder)

    monkeypatch.setattr(cleanup, "remove_folder", refuse)
    failed, gone = cleaner.caches(dry_run=False)
    assert failed.outcome == "failed" and "no permission to write" in failed.message and failed.bytes_freed == 0
    assert gone.outcome == "completed"


def test_the_last_use_is_the_time_of_the_lock_file(tmp_path):
    assert pointers.last_used(tmp_path) == 0.0
