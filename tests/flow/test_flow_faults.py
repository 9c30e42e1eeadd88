"""What goes wrong from outside: text, disk, other processes. Each fault is named, mended or refused."""

import contextlib
import http.server
import os
import random
import shutil
import socket
import subprocess
import threading
from pathlib import Path

import flow_runs as flow
import pytest

import loquela
from loquela.artifacts.manifest import verify
from loquela.core.errors import DataError, ErrorCode, LoquelaError, ResourceError
from loquela.monitoring.events import Event
from loquela.runs.lock import RunLock
from loquela.runs.manifest import load_run_manifest
from loquela.runs.status import Phase, load_status
from loquela.runs.verify import verify_run


@pytest.fixture
def trained(home):
    """The recipe, run up to the trained model."""
    return loquela.run("tiny.yaml", until="train", quiet=True).directory


@contextlib.contextmanager
def mounted(place: Path, *options: str):
    """A real small file system at `place`."""
    place.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"mounting a tmpfs needs rights: {done.stderr.decode().strip()}")
    try:
        yield place
    finally:
        # Lazily: a traceback that pytest keeps may hold a memory map of a file there.
        subprocess.run(["umount", "--lazy", str(place)], check=True)


# ── the text changes ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("sentences", "verb"), [(120, "shrank"), (220, "grew")])
def test_changed_text_stops_a_resume_and_nothing_is_lost(trained, home, here, sentences, verb):
    before = flow.weights(trained)
    (home / "story.txt").write_text(flow.story(sentences), encoding="utf-8")
    stopped = here("train", "tiny.yaml", "--resume", "auto")
    assert stopped.code == 3
    assert "[DATA_CHANGED]" in stopped.err
    assert f"story.txt {verb} (" in stopped.err
    assert "restore the text" in stopped.err
    details = load_status(trained).error_details
    assert details is not None
    assert (details.failed_phase, details.error_type, details.code) == (Phase.CORPUS_DOWNLOAD, "other", "DATA_CHANGED")
    assert details.stderr_output
    assert len(details.stderr_output.splitlines()) <= 50
    # The text restored: the run goes on where it was.
    (home / "story.txt").write_text(flow.story(), encoding="utf-8")
    assert here("train", "tiny.yaml", "--resume", "auto", "-q").code == 0
    assert [path.name for path in flow.runs(home)] == [trained.name]
    assert flow.weights(trained) == before
    assert load_status(trained).error_details is None


def test_changed_settings_of_the_text_are_named(trained, here):
    stopped = here("train", "tiny.yaml", "--resume", "auto", "--set", "data.validation_fraction=0.3")
    assert stopped.code == 3
    assert "[DATA_CHANGED]" in stopped.err
    assert "data.validation_fraction was 0.1 and is 0.3" in stopped.err


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("tokenizer.vocab_size=290", "were trained with another tokenizer: tokenizer.vocab_size was 300 and is 290"),
        ("model.d_model=32", "d_model is 16 there and 32 here"),
        ("train.batch_size=8", "16 rows per step"),
    ],
)
def test_a_run_of_another_shape_is_not_gone_on_with(trained, here, override, says):
    before = flow.weights(trained)
    tokenizer = verify(trained / "tokenizer").digest
    refused = here("train", "tiny.yaml", "--resume", "auto", "--set", override)
    assert refused.code == 3
    assert "[CHECKPOINT_INCOMPATIBLE]" in refused.err
    assert says in refused.err
    assert "--resume never" in refused.err
    assert flow.weights(trained) == before
    assert verify(trained / "tokenizer").digest == tokenizer
    assert here("train", "tiny.yaml", "--resume", "auto", "-q").code == 0
    assert flow.weights(trained) == before


def test_rebuild_starts_a_new_run_and_says_so(trained, home, here):
    (home / "story.txt").write_text(flow.story(150), encoding="utf-8")
    auto = ("train", "tiny.yaml", "--resume", "auto", "--set", "data.on_change=rebuild")
    done = here(*auto)
    assert done.code == 0, done.err
    assert f"the text is not what run {trained.name} was made from (story.txt shrank" in done.err
    old, new = flow.runs(home)
    assert (old.name, load_status(old).replaced_by) == (trained.name, new.name)
    assert verify_run(old).passed
    assert load_run_manifest(new).resumed == []
    # The replaced run is not gone back to; the unchanged text is not rebuilt again.
    assert here(*auto, "-q").code == 0
    assert len(flow.runs(home)) == 2
    assert len(load_run_manifest(new).resumed) == 1


def test_rebuild_with_the_same_text_resumes(trained, home, here):
    assert here("train", "tiny.yaml", "--resume", "auto", "-q", "--set", "data.on_change=rebuild").code == 0
    assert len(flow.runs(home)) == 1


# ── artifacts are damaged ─────────────────────────────────────────────────────────────────────────────────


def flip(path: Path, position: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[position if position >= 0 else len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("kind", ["corpus", "tokenizer", "shards"])
@pytest.mark.parametrize("damage", ["flipped", "truncated"])
def test_a_damaged_artifact_is_set_aside_made_anew_and_said(trained, home, kind, damage):
    file = {"corpus": "documents.jsonl", "tokenizer": "tokenizer.json", "shards": "train/shard-00000.bin"}[kind]
    (place,) = (home / "data" / "artifacts" / kind).iterdir()
    before = verify(place).digest
    if damage == "flipped":
        flip(place / file)
    else:
        os.truncate(place / file, 100)
    seen: list[Event] = []
    again = loquela.run("tiny.yaml", until="train", resume="auto", quiet=True, listeners=[seen.append])
    said = [event.data["message"] for event in seen if event.name == "artifact.damaged.v1"]
    assert len(said) == 1
    assert file in str(said[0])
    assert f"it was set aside as damaged-{place.name}, the {kind} is made anew" in str(said[0])
    assert verify(place).digest == before
    assert (place.with_name("damaged-" + place.name) / file).is_file()
    assert again.id == trained.name
    assert load_run_manifest(again.directory).stages["train"].reused


def test_a_damaged_model_is_made_again_from_its_checkpoints(trained, here):
    before = flow.weights(trained)
    flip(trained / "final" / "model.safetensors")
    done = here("train", "tiny.yaml", "--resume", "auto")
    assert done.code == 0, done.err
    assert "final is damaged: the SHA-256 of model.safetensors" in done.err
    assert "it is made again" in done.err
    assert flow.weights(trained) == before


def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_it_used(trained, here):
    before = flow.weights(trained)
    newest = max(path for path in (trained / "checkpoints").iterdir())
    flip(newest / "model.safetensors")
    shutil.rmtree(trained / "final")
    done = here("train", "tiny.yaml", "--resume", "auto")
    assert done.code == 0, done.err
    assert "set aside" in done.err
    assert flow.weights(trained) == before


# ── other processes ───────────────────────────────────────────────────────────────────────────────────────


def test_a_second_process_on_the_run_is_refused(trained, here):
    with RunLock(trained):
        before = flow.snapshot(trained)
        refused = here("train", "tiny.yaml", "--resume", "auto")
        assert refused.code == 4
        assert "[RUN_LOCKED]" in refused.err
        assert str(os.getpid()) in refused.err
        assert "loquela runs watch" in refused.err
        assert flow.snapshot(trained) == before


# ── the disk ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_read_only_output_is_refused_before_anything(home, here):
    with mounted(home / "readonly", "size=1m", "ro"):
        refused = here("run", "tiny.yaml", "--set", "output_directory=readonly/data")
    assert refused.code == 4
    assert "[WRITE_PERMISSION]" in refused.err
    assert "is read-only" in refused.err
    assert "output_directory" in refused.err


def test_too_small_a_disk_is_refused_before_anything(home, here):
    with mounted(home / "small", "size=8m") as small:
        refused = here("run", "tiny.yaml", "--set", "output_directory=small/data")
        assert list(small.iterdir()) == []
    assert refused.code == 4
    assert "[DISK_FULL]" in refused.err
    assert "MB free on the file system of" in refused.err
    assert "nothing was written" in refused.err


def test_a_disk_that_fills_up_in_mid_run_keeps_the_run_resumable(home, here, finished):
    """Room enough at first, as the prerequisites ask; while the run goes on something else takes all but a little."""
    with mounted(home / "disk", "size=128m") as disk:
        ballast = disk / "ballast"

        def fill(event: Event) -> None:
            if event.name == "trainer.job.started.v1":
                free = shutil.disk_usage(disk).free
                ballast.write_bytes(b"\1" * (free - 60_000))

        with pytest.raises(ResourceError, match="no space left on the file system") as full:
            loquela.run("tiny.yaml", {"output_directory": "disk/data"}, quiet=True, listeners=[fill])
        assert full.value.code is ErrorCode.DISK_FULL
        assert "run the same command again" in full.value.remedy
        ballast.unlink()
        done = here("run", "tiny.yaml", "-q", "--resume", "auto", "--set", "output_directory=disk/data")
        assert done.code == 0, done.err
        (run,) = (disk / "data" / "runs").iterdir()
        assert flow.weights(run) == flow.weights(finished.run.directory)
        assert verify_run(run).passed


# ── text that cannot be learnt from ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (b"", "INSUFFICIENT_DATA", "story.txt"),
        (b"one line only\n", "INSUFFICIENT_DATA", "min_corpus_bytes"),
        (bytes(range(256)) * 40, None, "story.txt"),
        (random.Random(1).randbytes(6000), None, "story.txt"),
    ],
    ids=["empty", "tiny", "binary", "noise"],
)
def test_unusable_text_is_refused_with_its_place(home, here, content, code, says):
    (home / "story.txt").write_bytes(content)
    refused = here("run", "tiny.yaml", "-q")
    assert refused.code in (3, 4), refused.err
    assert code is None or f"[{code}]" in refused.err
    assert says in refused.err
    assert "to mend it: " in refused.err
    assert not (home / "data" / "artifacts").exists() or flow.leftovers(home) == []
    assert list((home / "data").glob("artifacts/*/*/manifest.json")) == []


def test_a_missing_source_is_a_fault_of_the_data(home, here):
    flow.write_recipe(home, data={"sources": ["no such text.txt"]})
    refused = here("run", "tiny.yaml")
    assert refused.code == 3
    assert "[DATA_NOT_FOUND]" in refused.err
    assert "nothing was written" in refused.err
    assert not (home / "data").exists()


def test_an_unreachable_source_is_refused_before_anything(home, here):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        address = f"http://127.0.0.1:{port}/story.txt"
        flow.write_recipe(home, data={"sources": [address], "allow_private_addresses": True, "timeout_seconds": 2})
        refused = here("run", "tiny.yaml")
    assert refused.code == 4
    assert "[NETWORK_ERROR]" in refused.err
    assert address in refused.err
    assert not (home / "data").exists()


def test_a_source_that_vanishes_between_two_runs(home, here):
    """Downloaded once, the text is kept: the second run needs no network for it."""
    handler = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}/story.txt"
    flow.write_recipe(home, data={"sources": [address], "allow_private_addresses": True, "timeout_seconds": 2})
    first = here("train", "tiny.yaml", "-q")
    server.shutdown()
    server.server_close()
    thread.join()
    assert first.code == 0, first.err
    done = here("train", "tiny.yaml", "-q", "--set", "skip_phases=[corpus_download]")
    assert done.code == 0, done.err
    one, two = flow.runs(home)
    assert flow.weights(one) == flow.weights(two)


# ── a recipe that cannot be ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("train.epochz=1", "did you mean 'train.epochs'?"),
        ("train.epochs=0", "allowed: a whole number"),
        ("train.learning_rate=2", "learning_rate"),
        ("model.num_heads=3", "num_heads (3) does not divide d_model (16)"),
        ("data.sources=[]", "data.sources"),
        ("tokenizer.method=bpee", "bpe"),
    ],
)
def test_an_impossible_recipe_is_refused_before_anything(home, here, override, says):
    before = flow.snapshot(home)
    refused = here("run", "tiny.yaml", "--set", override)
    assert refused.code == 2
    assert "[CONFIG_INVALID]" in refused.err
    assert says in refused.err
    assert "to mend it: " in refused.err
    assert flow.snapshot(home) == before


def test_as_a_program_a_refusal_is_two_lines_on_stderr(home):
    before = flow.snapshot(home)
    refused = flow.program(home, "run", "tiny.yaml", "--set", "train.epochz=1")
    assert refused.code == 2
    assert refused.out == ""
    assert len(refused.err.splitlines()) == 2
    assert flow.snapshot(home) == before


def test_errors_reach_python_as_they_are(home):
    with pytest.raises(LoquelaError, match="train.epochz: no such key"):
        loquela.run("tiny.yaml", {"train.epochz": 1}, quiet=True)
    (home / "story.txt").write_text("short", encoding="utf-8")
    with pytest.raises(DataError, match="min_corpus_bytes"):
        loquela.run("tiny.yaml", quiet=True)
