"""kill -9, Ctrl+C and SIGTERM at any moment of the whole pipeline; resumed, the result is the same to the bit."""

import random
import signal
import time

import flow_runs as flow
import pytest

from loquela.artifacts.crash_points import VARIABLE
from loquela.artifacts.manifest import verify
from loquela.runs.status import Phase, load_status
from loquela.runs.verify import verify_run

LINES = (
    "run ", "… corpus", "✔ corpus", "… tokenizer", "✔ tokenizer", "… shards", "✔ shards", "… training", "✔ training",
    "… evaluation", "✔ evaluation",
)  # fmt: skip
AUTO = ("run", "tiny.yaml", "--resume", "auto")


def assert_as_if_nothing_had_happened(home, finished):
    """Every run folder but the complete one is a killed stub; nothing half is left; the weights are the same."""
    complete = [run for run in flow.runs(home) if flow.status_of(run)["current_phase"] == "complete"]
    assert len(complete) == 1
    (run,) = complete
    assert flow.weights(run) == flow.weights(finished.run.directory)
    assert flow.weights(run, "best") == flow.weights(finished.run.directory, "best")
    assert flow.leftovers(home) == []
    kinds = {path.parent.parent.name for path in (home / "data" / "artifacts").glob("*/*/manifest.json")}
    assert kinds == {"corpus", "tokenizer", "shards"}
    for artifact in (home / "data" / "artifacts").glob("*/*"):
        verify(artifact)
    report = verify_run(run)
    assert report.passed, [proof.message for proof in report.proofs if not proof.passed]

    def lines(of):
        keys = ("step", "loss", "validation_loss", "learning_rate")
        text = (of / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return [{key: flow.json.loads(line).get(key) for key in keys} for line in text]

    assert lines(run) == lines(finished.run.directory)


def test_killed_at_the_start_of_every_stage(home, finished):
    for line in ("… corpus", "… tokenizer", "… training", "… evaluation"):
        assert flow.signalled_at(home, line, signal.SIGKILL, *AUTO).code == -signal.SIGKILL, line
    done = flow.program(home, *AUTO)
    assert done.code == 0, done.err
    assert_as_if_nothing_had_happened(home, finished)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_random_moments_of_every_stage(home, finished, seed):
    generator = random.Random(seed)
    for line in generator.sample(LINES, 6):
        flow.signalled_at(home, line, signal.SIGKILL, *AUTO, delay=generator.uniform(0.0, 0.6))
    done = flow.program(home, *AUTO)
    assert done.code == 0, done.err
    assert_as_if_nothing_had_happened(home, finished)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "count"),
    [*(("before_rename", count) for count in range(1, 6)), ("after_rename", 2), ("after_rename", 4)],
)
def test_killed_where_a_folder_gets_its_name(home, finished, monkeypatch, point, count):
    """Corpus, tokenizer, shards, the run's tokenizer, the first checkpoint: just before and after the rename."""
    monkeypatch.setenv(VARIABLE, f"{point}:{count}")
    assert flow.program(home, *AUTO).code == -signal.SIGKILL
    monkeypatch.delenv(VARIABLE)
    assert flow.program(home, *AUTO).code == 0
    assert_as_if_nothing_had_happened(home, finished)


@pytest.mark.parametrize(("number", "line"), [(signal.SIGINT, "… training"), (signal.SIGTERM, "… tokenizer")])
def test_asked_to_stop_it_saves_says_how_to_go_on_and_does(home, finished, here, number, line):
    stopped = flow.signalled_at(home, line, number, "train", "tiny.yaml")
    assert stopped.code == 75, stopped.err
    assert "stopped: " in stopped.err
    assert number.name in stopped.err
    assert "to go on: " in stopped.err
    assert "--resume auto" in stopped.err
    (run,) = flow.runs(home)
    status = load_status(run)
    assert status.current_phase not in (Phase.FAILED, Phase.COMPLETE)
    assert number.name in status.message
    assert verify_run(run).passed
    assert here("train", "tiny.yaml", "--resume", "auto", "-q").code == 0
    assert flow.runs(home) == [run]
    assert flow.weights(run) == flow.weights(finished.run.directory)
    assert flow.leftovers(home) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("seed", range(2))
def test_asked_to_stop_at_random_moments_in_turn(home, finished, number, seed):
    generator = random.Random(seed)
    for line in generator.sample(LINES, 4):
        stopped = flow.signalled_at(home, line, number, *AUTO, delay=generator.uniform(0.0, 0.6))
        if stopped.code not in (75, 0):
            # Too late to be a request: the run was over and the interpreter on its way out.
            assert stopped.code in (130, -number), stopped.err
            assert flow.status_of(flow.runs(home)[-1])["current_phase"] == "complete"
    assert flow.program(home, *AUTO).code == 0
    assert_as_if_nothing_had_happened(home, finished)


@pytest.mark.slow
def test_a_second_ctrl_c_ends_at_once(home, finished):
    with flow.subprocess.Popen(
        [*flow.PROGRAM, "run", "tiny.yaml", "--set", "train.epochs=400"], cwd=home, env=flow.environment(home),
        stdin=flow.subprocess.DEVNULL, stdout=flow.subprocess.PIPE, stderr=flow.subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        for text in process.stderr:
            if text.startswith("… training"):
                break
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            time.sleep(0.001)
        # Signals go on while the interpreter shuts down; there the system ends it, which is at once too.
        assert process.returncode in (75, 130, -signal.SIGINT)
        assert "Traceback" not in process.stderr.read()
    assert flow.program(home, *AUTO).code == 0
