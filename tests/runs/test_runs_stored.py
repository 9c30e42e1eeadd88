"""A run goes into a store, its heavy folders go, and come back as they were; whoever is killed in between."""

import json
import os
import subprocess
import sys
import threading

import pytest

from loquela.artifacts.crash_points import VARIABLE
from loquela.artifacts.store.opening import open_place
from loquela.artifacts.store.places import StorePlace
from loquela.core.errors import DataError, ErrorCode, ProofError, RecipeError, ResourceError
from loquela.recipe.loading import load_values
from loquela.runs.execution import execute
from loquela.runs.lock import RunLock
from loquela.runs.status import Phase
from loquela.runs.stored.cleaning import clean_run
from loquela.runs.stored.local_copy import local_model_folder
from loquela.runs.stored.packing import store_run
from loquela.runs.stored.pointer import hands_on, last_used, read_pointer
from loquela.runs.stored.trees import parts_of
from loquela.runs.verify import verify_run
from s3_server import KEYS, S3Server
from stored_runs import everything, make_run
from worker_runs import recipe

HERE = StorePlace()


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path)


@pytest.fixture
def store(tmp_path):
    return open_place(HERE, tmp_path)


def stored(run, store):
    return store_run(run, store, HERE, at=5.0)


def test_a_run_is_stored_with_its_parts_and_a_pointer(run, store):
    parts = stored(run, store)
    assert [(part.kind, part.subject) for part in parts] == [
        ("run", "tiny-1"),
        ("model", "tiny-1"),
        ("tokenizer", "tiny-1"),
        ("evaluation", "tiny-1"),
        ("export", "tiny-1.onnx-int8"),
    ]
    pointer = read_pointer(run)
    assert pointer.file_id == parts[0].tarball.sha256 and pointer.stored_at == 5.0 and not pointer.cleaned
    assert store.size(pointer.file_id) == pointer.size_bytes
    assert {blob.sha256 for blob in store.blobs()} == {part.tarball.sha256 for part in parts}


def test_storing_it_again_changes_nothing(run, store):
    first = stored(run, store)
    written = {blob.sha256: blob.at for blob in store.blobs()}
    assert stored(run, store) == first
    assert {blob.sha256: blob.at for blob in store.blobs()} == written


def test_a_fine_tuning_is_stored_as_its_final_artifact(run):
    final = run / "final_artifact"
    final.mkdir()
    (final / "manifest.json").write_bytes(b"{}")
    assert next(part for part in parts_of(run) if part.kind == "model").tree.root == final


def test_what_is_cleaned_comes_back_as_it_was(run, store):
    before = everything(run)
    stored(run, store)
    assert local_model_folder(run) == run
    would = clean_run(run, store, dry_run=True)
    assert everything(run) == before
    gone = clean_run(run, store, dry_run=False)
    assert gone == would and gone.bytes_freed > 19_000 and gone.files_deleted == 9
    left = everything(run)
    assert "metrics.jsonl" in left and "logs/system.log" in left and "eval/metrics.json" in left
    assert not any(name.startswith(("final", "best", "checkpoints", "exports", "tokenizer/")) for name in left)
    assert read_pointer(run).cleaned
    assert local_model_folder(run) == run
    assert everything(run) == before and not read_pointer(run).cleaned
    assert last_used(run) > 0
    assert [proof for proof in verify_run(run).proofs if proof.name == "seal" and not proof.passed] == []


def test_a_cleaned_run_is_proven_in_the_store(run, store, tmp_path):
    stored(run, store)
    assert not [proof for proof in verify_run(run).proofs if proof.name == "stored"]
    clean_run(run, store, dry_run=False)
    report = verify_run(run)
    [proof] = [proof for proof in report.proofs if proof.name == "stored"]
    assert proof.passed and "weights and checkpoints are in" in proof.message
    assert not [proof for proof in report.proofs if not proof.passed]
    store.remove(read_pointer(run).file_id)
    [failed] = [proof for proof in verify_run(run).proofs if not proof.passed]
    assert failed.name == "stored" and "has no tarball" in failed.message


def test_a_run_that_is_gone_on_with_is_brought_back_and_not_trained_again(tmp_path):
    resolved = load_values(recipe(tmp_path, epochs=1), "test", {"output_directory": str(tmp_path / "data")})
    first = execute(resolved, resume="never")
    before = everything(first.directory)
    store = open_place(HERE, tmp_path / "data")
    stored(first.directory, store)
    clean_run(first.directory, store, dry_run=False)
    again = execute(resolved, resume=str(first.directory))
    assert again.run_id == first.run_id and again.manifest.stages["train"].reused
    weights = [name for name in before if name.endswith(".safetensors")]
    after = everything(first.directory)
    assert weights and [after[name] for name in weights] == [before[name] for name in weights]


def test_what_was_not_stored_as_it_is_stays(run, store):
    with pytest.raises(ProofError, match="nothing of tiny-1 is removed: it was never stored"):
        clean_run(run, store, dry_run=False)
    stored(run, store)
    (run / "final" / "model.safetensors").write_bytes(b"W" * 5000)
    with pytest.raises(ProofError, match="it is not as it was when it was stored"):
        clean_run(run, store, dry_run=False)
    stored(run, store)
    assert clean_run(run, store, dry_run=False).bytes_freed


def test_a_run_that_can_be_resumed_keeps_its_checkpoints(tmp_path, store):
    run = make_run(tmp_path, "stopped", phase=Phase.MODEL_TRAINING)
    stored(run, store)
    with pytest.raises(ProofError, match="it is not complete and can be resumed"):
        clean_run(run, store, dry_run=False)
    assert (run / "checkpoints").is_dir()


def test_a_tarball_that_is_not_what_it_was_lets_nothing_go(run, store, tmp_path):
    stored(run, store)
    pointer = read_pointer(run)
    blob = tmp_path / "artifacts" / "sha256" / pointer.file_id[:2] / pointer.file_id
    before = everything(run)
    blob.chmod(0o644)
    data = bytearray(blob.read_bytes())
    data[700] ^= 1
    blob.write_bytes(data)
    with pytest.raises(DataError, match="gives back .* bytes of digest"):
        clean_run(run, store, dry_run=False)
    blob.unlink()
    with pytest.raises(DataError, match="has no tarball"):
        clean_run(run, store, dry_run=False)
    assert everything(run) == before


def test_a_tarball_that_went_bad_later_is_said_and_leaves_what_is_there(run, store, tmp_path):
    stored(run, store)
    clean_run(run, store, dry_run=False)
    pointer = read_pointer(run)
    blob = tmp_path / "artifacts" / "sha256" / pointer.file_id[:2] / pointer.file_id
    good = blob.read_bytes()
    blob.chmod(0o644)
    blob.write_bytes(good[:700] + b"X" + good[701:])
    before = everything(run)
    with pytest.raises(DataError, match="cannot be taken|is refused"):
        local_model_folder(run)
    assert everything(run) == before and read_pointer(run).cleaned
    blob.write_bytes(good)
    local_model_folder(run)
    assert (run / "final" / "model.safetensors").is_file()


def test_who_works_on_a_run_is_waited_for(run, store):
    with RunLock(run):
        with pytest.raises(ResourceError, match="is being worked on, or not here as a whole") as caught:
            stored(run, store)
        assert caught.value.code is ErrorCode.RUN_LOCKED and caught.value.retryable
    stored(run, store)
    with RunLock(run), pytest.raises(ResourceError, match="another process works on"):
        clean_run(run, store, dry_run=False)
    with hands_on(run), pytest.raises(ResourceError, match="is just being stored, cleaned or brought back"):
        clean_run(run, store, dry_run=False)
    clean_run(run, store, dry_run=False)
    with pytest.raises(ResourceError, match="not here as a whole"):
        stored(run, store)


def test_many_may_ask_for_it_at_once(run, store):
    before = everything(run)
    stored(run, store)
    clean_run(run, store, dry_run=False)
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(everything(local_model_folder(run)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [before] * 4


def test_a_pointer_that_cannot_be_read_is_said(run):
    (run / "pointer.json").write_bytes(b"{}")
    with pytest.raises(DataError, match="pointer.json cannot be read"):
        local_model_folder(run)


def test_the_key_of_a_bucket_comes_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("LOQUELA_CREDENTIAL_BOOKS", "a token")
    with pytest.raises(RecipeError, match="is of kind bearer; a bucket needs a key_pair"):
        open_place(StorePlace(url="s3://shelf", credential="books"), tmp_path)
    pair = {"kind": "key_pair", "access_key_id": "who", "secret_access_key": "unguessable"}
    monkeypatch.setenv("LOQUELA_CREDENTIAL_BOOKS", json.dumps(pair))
    assert open_place(StorePlace(url="s3://shelf/a/", credential="books"), tmp_path).address == "s3://shelf/a"


STEPS = """
import os
import sys
from pathlib import Path
from loquela.artifacts.store.opening import open_place
from loquela.artifacts.store.places import StorePlace
from loquela.runs.stored.cleaning import clean_run
from loquela.runs.stored.local_copy import local_model_folder
from loquela.runs.stored.packing import store_run
run = Path(sys.argv[1])
place = StorePlace.model_validate_json(os.environ.get("PLACE", "{}"))
store = open_place(place, run.parents[1])
if "store" in sys.argv:
    store_run(run, store, place, at=5.0)
if "clean" in sys.argv:
    clean_run(run, store, dry_run=False)
if "back" in sys.argv:
    local_model_folder(run)
"""


def killed(run, verb, at):
    command = [sys.executable, "-c", STEPS, str(run), verb]
    done = subprocess.run(command, check=False, env={**os.environ, VARIABLE: at}, capture_output=True)
    return done.returncode == -9


def do(run, store, *verbs):
    for verb in verbs:
        if verb == "store":
            stored(run, store)
        elif verb == "clean":
            clean_run(run, store, dry_run=False)
        else:
            local_model_folder(run)


@pytest.mark.parametrize(
    "verb, point",
    [
        ("store", "storing:2"),
        ("store", "stored:1"),
        ("store", "stored:3"),
        ("clean", "before_cleaning"),
        ("clean", "cleaning:2"),
        ("clean", "during_removal:1"),
        ("back", "unpacking:4"),
        ("back", "unpacked"),
        ("back", "bringing_back:2"),
    ],
)
def test_killed_anywhere_nothing_is_lost_and_the_next_try_ends_it(run, store, verb, point):
    before = everything(run)
    do(run, store, *{"store": (), "clean": ("store",), "back": ("store", "clean")}[verb])
    assert killed(run, verb, point)
    # Whatever comes next, the same verb or somebody who needs the run, finds or makes it whole.
    if verb == "clean":
        assert everything(local_model_folder(run)) == before
        do(run, store, "store", "clean", "back")
    else:
        do(run, store, verb)
    assert everything(run) == before
    assert not list(run.rglob(".tmp-*"))


def test_the_same_with_a_bucket_killed_in_the_middle_and_gone_for_a_while(run, tmp_path, monkeypatch):
    server = S3Server()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS["access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS["secret_access_key"])
    place = StorePlace(url="s3://shelf/runs", endpoint_url=server.url)
    store = open_place(place, tmp_path)
    before = everything(run)
    try:
        monkeypatch.setenv("PLACE", place.model_dump_json())
        assert killed(run, "store", "storing:2")
        assert list(store.blobs()) == [] and read_pointer(run) is None
        store_run(run, store, place, at=5.0)
        clean_run(run, store, dry_run=False)
        server.stop()
        with pytest.raises(ResourceError, match="s3://shelf/runs cannot be used: it does not answer"):
            local_model_folder(run)
        assert read_pointer(run).cleaned and not list(run.glob(".tmp-*"))
        server.start()
        assert everything(local_model_folder(run)) == before
    finally:
        server.stop()


def test_a_full_disk_is_said_and_nothing_half_stands(run, store):
    limited = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n" + STEPS
    done = subprocess.run([sys.executable, "-c", limited, str(run), "store"], check=False, capture_output=True)
    assert b"WRITE_FAILED" in done.stderr or b"DISK_FULL" in done.stderr
    assert list(store.blobs()) == [] and read_pointer(run) is None
    do(run, store, "store", "clean")
    done = subprocess.run([sys.executable, "-c", limited, str(run), "back"], check=False, capture_output=True)
    assert done.returncode == 1 and read_pointer(run).cleaned and not (run / "final").exists()
    do(run, store, "back")
    assert (run / "final" / "model.safetensors").is_file()
