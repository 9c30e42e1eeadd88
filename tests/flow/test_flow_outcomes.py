"""How runs end and what is said of them: skipped phases, missed gates, proofs, comparison, watching."""

import os
import shutil
import subprocess
import threading
import time

import flow_runs as flow
import pytest

import loquela
from loquela.cli.watching import follow
from loquela.core.errors import ErrorCode, ProofError
from loquela.runs.manifest import load_run_manifest
from loquela.runs.status import WORKING, Phase, load_status
from loquela.runs.verify import verify_run


@pytest.fixture
def copy(finished, tmp_path, monkeypatch):
    """A copy of the finished run's whole working directory, entered; the run in it."""
    home = tmp_path / "copy"
    shutil.copytree(finished.home, home)
    monkeypatch.chdir(home)
    return home / "data" / "runs" / finished.run.id


# ── gates ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_missed_budget_fails_the_run_and_is_measured_again(copy, here):
    auto = ("run", "tiny.yaml", "-q", "--resume", copy.name)
    missed = here(*auto, "--set", "evaluate.budgets.tokens_per_second=1e9")
    assert missed.code == 5
    assert "[PERFORMANCE_BELOW_THRESHOLD]" in missed.err
    assert "budgets.json" in missed.err
    status = load_status(copy)
    assert status.current_phase is Phase.FAILED
    assert status.completed_phases == list(WORKING[:-1])
    assert status.error_details is not None
    assert status.error_details.failed_phase is Phase.VALIDATION
    assert status.error_details.error_type == "validation_failure"
    assert 0 < len(status.error_details.stderr_output.splitlines()) <= 50
    assert status.validation_results is not None
    assert not status.validation_results.constitutional_compliance
    assert (copy / "final" / "model.safetensors").is_file()
    assert load_run_manifest(copy).failure_class == "FATAL"
    assert verify_run(copy).passed
    assert here("run", "tiny.yaml", "-q", "--resume", "auto").code == 0
    assert load_status(copy).current_phase is Phase.COMPLETE
    assert load_status(copy).error_details is None


def test_too_high_a_validation_loss_fails_the_run(copy):
    with pytest.raises(ProofError, match="evaluate.max_validation_loss allows 0.01") as failed:
        loquela.run("tiny.yaml", {"evaluate.max_validation_loss": 0.01}, resume=copy.name, quiet=True)
    assert failed.value.code is ErrorCode.VALIDATION_FAILED
    details = load_status(copy).error_details
    assert details is not None
    assert (details.failed_phase, details.error_type) == (Phase.VALIDATION, "validation_failure")
    assert (copy / "eval" / "report.md").is_file()


# ── skipped phases ────────────────────────────────────────────────────────────────────────────────────────


def test_skipped_phases_take_what_is_there(copy, here):
    (copy.parents[2] / "story.txt").unlink()  # nobody looks for it
    options = ("train", "tiny.yaml", "-q", "--set", "skip_phases=[corpus_download, tokenizer_training]")
    done = here(*options)
    assert done.code == 0, done.err
    stages = load_run_manifest(flow.runs(copy.parents[2])[-1]).stages
    assert stages["ingest"].reused
    assert stages["tokenizer"].reused
    assert flow.weights(flow.runs(copy.parents[2])[-1]) == flow.weights(copy)
    # Damaged, it is not there: made from nothing it cannot be.
    (corpus,) = (copy.parents[1] / "artifacts" / "corpus").iterdir()
    os.truncate(corpus / "documents.jsonl", 10)
    refused = here(*options)
    assert refused.code == 2
    assert "skip_phases names corpus_download, but no whole corpus" in refused.err
    assert "remove corpus_download from skip_phases" in refused.err


def test_skipping_what_was_never_made_is_refused(home, here):
    refused = here("run", "tiny.yaml", "-q", "--set", "skip_phases=[corpus_download]")
    assert refused.code == 2
    assert "[DATASET_NOT_FOUND]" in refused.err
    (run,) = flow.runs(home)
    assert load_status(run).current_phase is Phase.FAILED


# ── proofs ────────────────────────────────────────────────────────────────────────────────────────────────


def files_of(run):
    """Everything that verify vouches for: the run but its lock, and the corpus and shards that it was made from."""
    own = [path for path in run.rglob("*") if path.is_file() and path.name != "run.lock"]
    data = run.parents[1] / "artifacts"
    return own + [path for kind in ("corpus", "shards") for path in (data / kind).rglob("*") if path.is_file()]


def test_verify_finds_a_flipped_byte_in_any_file(copy):
    assert verify_run(copy).passed
    missed = []
    for path in files_of(copy):
        whole = path.read_bytes()
        for position in sorted({0, len(whole) // 3, max(0, len(whole) - 2)}):
            path.write_bytes(
                whole[:position] + bytes([(whole[position : position + 1] or b"x")[0] ^ 1]) + whole[position + 1 :]
            )
            if verify_run(copy).passed:
                missed.append((path.name, position))
        path.write_bytes(whole)
    assert missed == []
    assert verify_run(copy).passed


def test_verify_as_a_command(copy, here):
    assert here("verify", copy.name).code == 0
    model = copy / "best" / "model.safetensors"
    data = bytearray(model.read_bytes())
    data[-1] ^= 128
    model.write_bytes(data)
    found = here("verify", copy.name)
    assert found.code == 5
    assert "FAILED  best whole: " in found.out
    assert "to mend it: " in found.out


def test_verify_misses_a_seal_that_was_taken_off(copy):
    (copy / "seal.json").unlink()
    (failed,) = [proof for proof in verify_run(copy).proofs if not proof.passed]
    assert failed.message == "seal.json is missing, though the run is complete"


@pytest.mark.parametrize(
    "gone", ["final", "final/manifest.json", "eval", "tokenizer", "checkpoints/{newest}/state.json"]
)
def test_verify_misses_what_was_deleted(copy, gone):
    newest = max(path.name for path in (copy / "checkpoints").iterdir())
    place = copy / gone.format(newest=newest)
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    assert not verify_run(copy).passed


def test_verify_works_from_anywhere_and_after_a_move(copy, tmp_path, monkeypatch):
    shutil.move(copy.parents[2], tmp_path / "moved")
    monkeypatch.chdir("/")
    report = verify_run(tmp_path / "moved" / "data" / "runs" / copy.name)
    assert report.passed, [proof.message for proof in report.proofs if not proof.passed]


# ── comparison and watching ───────────────────────────────────────────────────────────────────────────────


def test_diff_names_what_differs_and_only_that(copy, here):
    other = loquela.run("tiny.yaml", {"train.epochs": 1}, until="train", quiet=True)
    said = here("runs", "diff", copy.name, other.id, "--json")
    assert said.code == 0
    found = flow.json.loads(said.out)
    assert [row["what"] for row in found["recipe"]] == ["train.epochs"]
    assert {row["what"] for row in found["stages"]} == {"train", "evaluate"}
    assert found["versions"] == []


def test_watching_ends_when_the_run_ends(home):
    with subprocess.Popen(
        [*flow.PROGRAM, "train", "tiny.yaml", "-q"], cwd=home, env=flow.environment(home),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        folder = home / "data" / "runs"
        while not (folder.is_dir() and list(folder.glob("*/status.json"))):
            assert process.poll() is None
            time.sleep(0.02)
        (run,) = flow.runs(home)
        seen = []
        watcher = threading.Thread(target=lambda: seen.extend(follow(run)))
        watcher.start()
        assert process.wait(timeout=60) == 0
        watcher.join(timeout=30)
        assert not watcher.is_alive()
    assert [event.id for event in seen] == [event["id"] for event in flow.events_of(run)]
    assert seen[-1].name == "pipeline.completed.v1"


@pytest.mark.slow
def test_two_processes_train_like_one(finished, tmp_path, monkeypatch):
    home = tmp_path / "copy"
    shutil.copytree(finished.home, home)
    monkeypatch.chdir(home)
    done = flow.program(home, "run", "tiny.yaml", "--set", "compute.processes=2", "--json", timeout=300)
    assert done.code == 0, done.out
    run = flow.runs(home)[-1]
    assert load_run_manifest(run).stages["train"].facts["processes"] == 2
    one, two = (flow.read_json(path / "training_metrics.json") for path in (finished.run.directory, run))
    for left, right in zip(one["epoch_history"], two["epoch_history"], strict=True):
        assert right["train_loss"] == pytest.approx(left["train_loss"], rel=1e-5)
        assert right["validation_loss"] == pytest.approx(left["validation_loss"], rel=1e-5)
    from safetensors.numpy import load_file

    first = load_file(finished.run.directory / "final" / "model.safetensors")
    second = load_file(run / "final" / "model.safetensors")
    for key, tensor in first.items():
        assert abs(second[key] - tensor).max() < 1e-4, key
    assert verify_run(run).passed
