"""The loss curve of a run: read from `metrics.jsonl`, drawn to `loss.png` when training ends or is interrupted."""

from __future__ import annotations

import json
from pathlib import Path

from loquela.monitoring.curve import Point, save_curve_png
from loquela.monitoring.events import Event

METRICS_NAME = "metrics.jsonl"
CURVE_NAME = "loss.png"
TRAINING_STAGES = ("train", "finetune")


def read_points(run_directory: Path) -> tuple[list[Point], list[Point]]:
    """Training and validation losses recorded so far; a half-written last line is left out."""
    train: list[Point] = []
    validation: list[Point] = []
    path = run_directory / METRICS_NAME
    if not path.is_file():
        return train, validation
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        step = record.get("step")
        for key, points in (("loss", train), ("validation_loss", validation)):
            if isinstance(step, int) and isinstance(record.get(key), float):
                points.append(Point(step, record[key]))
    return train, validation


class CurveFile:
    """Bus listener that keeps `loss.png` of one run."""

    def __init__(self, run_directory: Path) -> None:
        self.run_directory = run_directory

    def __call__(self, event: Event) -> None:
        trained = event.name == "pipeline.stage_completed.v1" and event.data.get("stage") in TRAINING_STAGES
        if not trained and event.name != "pipeline.interrupted.v1":
            return
        train, validation = read_points(self.run_directory)
        if train:
            title = f"{self.run_directory.name}: loss"
            save_curve_png(train, validation, self.run_directory / CURVE_NAME, title)
