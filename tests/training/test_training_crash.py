"""kill -9 at any moment, resume: the final weights are those of the run that was never killed, bit for bit."""

import random
import signal
import time

import pytest
import tiny_training as tiny

from loquela.artifacts.crash_points import POINTS, VARIABLE
from waiting import until

# Improves now and then, so that best/ is replaced several times; two epochs of a few steps.
SETTINGS = {"train": {"epochs": 2, "batch_size": 16, "checkpoint_every_steps": 2, "evaluate_every_steps": 3}}
# Points that this file system passes: it exchanges folders in one call (see test_whole_folders for the other way).
REACHED = [point for point in POINTS if point != "during_swap"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Inputs, and one straight run to compare with."""
    folder = tmp_path_factory.mktemp("crash")
    tiny.make_inputs(folder)
    assert tiny.finish(tiny.start(folder, SETTINGS, "straight")) == 0
    return folder


def assert_same_as_straight(folder, run):
    assert tiny.same_bits(tiny.final_weights(folder, run), tiny.final_weights(folder, "straight"))
    names = ("step", "epoch", "loss", "validation_loss", "learning_rate", "gradient_norm", "tokens_seen")

    def comparable(of):
        return [{key: line.get(key) for key in names} for line in tiny.lines(folder, "metrics.jsonl", of)]

    assert comparable(run) == comparable("straight")
    assert tiny.lines(folder, "samples.jsonl", run) == tiny.lines(folder, "samples.jsonl", "straight")
    left_over = [path for path in (folder / "runs" / run).rglob("*") if path.name.startswith((".tmp-", ".old-"))]
    assert left_over == []


def test_killed_at_every_named_point_of_saving_in_turn(folder):
    for number, point in enumerate(REACHED):
        killed = tiny.finish(tiny.start(folder, SETTINGS, "points", {VARIABLE: f"{point}:{1 + number % 2}"}))
        assert killed == -signal.SIGKILL, point
    assert tiny.finish(tiny.start(folder, SETTINGS, "points")) == 0
    assert_same_as_straight(folder, "points")


def kill_at_random_moments(folder, run, generator, longest_seconds, kills_at_most):
    """How often the run was killed before it was let finish."""
    for kills in range(kills_at_most):
        child = tiny.start(folder, SETTINGS, run)
        time.sleep(generator.uniform(0.0, longest_seconds))
        child.kill()
        if tiny.finish(child) == 0:
            return kills
    assert tiny.finish(tiny.start(folder, SETTINGS, run)) == 0
    return kills_at_most


def test_killed_at_random_moments(folder):
    assert kill_at_random_moments(folder, "random", random.Random(1), 0.8, 6) > 0
    assert_same_as_straight(folder, "random")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(25))
def test_killed_at_many_random_moments(folder, seed):
    run = f"random_{seed}"
    kill_at_random_moments(folder, run, random.Random(100 + seed), 1.2, 12)
    assert_same_as_straight(folder, run)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("point", REACHED)
def test_killed_at_every_passage_of_every_point(folder, point, count):
    run = f"at_{point}_{count}"
    tiny.finish(tiny.start(folder, SETTINGS, run, {VARIABLE: f"{point}:{count}"}))
    tiny.finish(tiny.start(folder, SETTINGS, run, {VARIABLE: f"{point}:1"}))
    assert tiny.finish(tiny.start(folder, SETTINGS, run)) == 0
    assert_same_as_straight(folder, run)


def test_asked_to_stop_saves_and_goes_on_exactly(folder):
    child = tiny.start(folder, SETTINGS, "asked")
    metrics = folder / "runs" / "asked" / "metrics.jsonl"
    until(metrics.exists, every=0.001)
    child.terminate()
    assert tiny.finish(child) == 75
    error = (folder / "runs" / "asked" / "error.json").read_text()
    assert "stopped by SIGTERM after step" in error
    assert tiny.finish(tiny.start(folder, SETTINGS, "asked")) == 0
    assert_same_as_straight(folder, "asked")
