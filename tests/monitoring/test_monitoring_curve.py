"""The loss curve in a terminal and as PNG."""

import json
from pathlib import Path

from loquela.monitoring.curve import Point, save_curve_png, terminal_curve
from loquela.monitoring.curve_file import CurveFile, read_points
from loquela.monitoring.events import Event


def test_a_falling_line_starts_top_left_and_ends_bottom_right() -> None:
    points = [Point(step, 10.0 - step) for step in range(11)]
    rows = terminal_curve(points, [], width=10, height=5).splitlines()
    assert rows[0].startswith(" 10.000 ┤")
    assert rows[0].split("┤")[1].strip() and rows[0].split("┤")[1][0] != " "
    assert rows[4].startswith("  0.000 ┤")
    assert rows[4].split("┤")[1][9] != " "
    assert rows[0].split("┤")[1][9] == " "
    assert rows[-1].endswith("step 10")


def test_validation_points_and_non_finite_values() -> None:
    drawn = terminal_curve([Point(0, 2.0), Point(1, float("nan"))], [Point(1, 1.0)], width=20, height=4)
    assert "o" in drawn.splitlines()[3]
    assert "validation" in drawn
    assert terminal_curve([Point(0, float("inf"))], []) == "no finite loss recorded yet"
    assert "1.000" in terminal_curve([Point(5, 1.0)], [], width=20, height=4), "one point does not divide by zero"


def test_the_png_is_one(tmp_path: Path) -> None:
    path = tmp_path / "with space" / "loss.png"
    save_curve_png([Point(0, 2.0), Point(10, 1.0)], [Point(10, 1.2)], path, "title")
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert path.stat().st_size > 10_000


def test_a_run_keeps_its_curve_when_training_ends(tmp_path: Path) -> None:
    lines = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}, {"step": 2, "validation_loss": 2.5}]
    (tmp_path / "metrics.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + '\n{"step": 3, "lo')
    assert read_points(tmp_path) == ([Point(1, 3.0), Point(2, 2.0)], [Point(2, 2.5)])
    keeper = CurveFile(tmp_path)
    keeper(Event(name="pipeline.stage_completed.v1", data={"stage": "ingest"}))
    assert not (tmp_path / "loss.png").exists()
    keeper(Event(name="pipeline.stage_completed.v1", data={"stage": "train"}))
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
