"""A run with trackers, from the command line: the numbers of metrics.jsonl, and a line about them at the end."""

from __future__ import annotations

import json
from pathlib import Path

import flow_runs as flow


def test_a_run_is_tracked_and_its_result_says_where(home: Path, here) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    flow.write_recipe(home, track=["tensorboard"], evaluate={"prompts": ["the fox"], "sample_tokens": 1})
    done = here("train", "tiny.yaml", "--quiet")
    assert done.code == 0, done.err
    (run,) = (home / "data" / "runs").iterdir()
    folder = run / "tensorboard"
    assert "tracked by tensorboard:" in done.out and "--logdir" in done.out
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    tracked = [(each.step, each.value) for each in accumulator.Scalars("train/loss")]
    written = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    assert [step for step, _ in tracked] == [step for step, _ in written]
    assert all(abs(one - other) < 1e-5 for (_, one), (_, other) in zip(tracked, written, strict=True))
    assert here("verify", str(run)).code == 0
