"""The loss curve, as characters for a terminal and as a PNG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loquela.core.atomic import atomic_path

DOTS_ACROSS, DOTS_DOWN = 2, 4
BRAILLE = 0x2800
# Bit of each of the 2×4 dots of a braille cell, [row][column], as Unicode numbers them.
DOT_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


@dataclass(frozen=True)
class Point:
    """One value at one step."""

    step: int
    value: float


def finite(points: Sequence[Point]) -> list[Point]:
    """The points that can be drawn."""
    return [point for point in points if math.isfinite(point.value)]


def terminal_curve(train: Sequence[Point], validation: Sequence[Point], *, width: int = 64, height: int = 12) -> str:
    """Draw training loss as a braille line and validation losses as `o`, with axes; `width`, `height` in cells."""
    train, validation = finite(train), finite(validation)
    points = [*train, *validation]
    if not points:
        return "no finite loss recorded yet"
    low, high = min(p.value for p in points), max(p.value for p in points)
    high = high if high > low else low + 1.0
    last_step = max(p.step for p in points) or 1
    cells = [[BRAILLE] * width for _ in range(height)]
    for point in _thinned(train, width * DOTS_ACROSS):
        column = min(int(point.step / last_step * (width * DOTS_ACROSS - 1)), width * DOTS_ACROSS - 1)
        row = round((high - point.value) / (high - low) * (height * DOTS_DOWN - 1))
        cells[row // DOTS_DOWN][column // DOTS_ACROSS] |= DOT_BITS[row % DOTS_DOWN][column % DOTS_ACROSS]
    lines = [[chr(cell) if cell != BRAILLE else " " for cell in row] for row in cells]
    for point in validation:
        row = round((high - point.value) / (high - low) * (height - 1))
        lines[row][min(int(point.step / last_step * (width - 1)), width - 1)] = "o"
    return _with_axes(lines, low, high, last_step, bool(validation))


def _thinned(points: Sequence[Point], columns: int) -> list[Point]:
    """At most a few points a column: the mean of each group, so that noise does not fill the plot."""
    size = max(1, len(points) // columns)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [Point(g[len(g) // 2].step, sum(p.value for p in g) / len(g)) for g in groups]


def _with_axes(lines: list[list[str]], low: float, high: float, last_step: int, has_validation: bool) -> str:
    height, width = len(lines), len(lines[0])
    drawn = []
    for number, line in enumerate(lines):
        value = high - (high - low) * number / (height - 1)
        label = f"{value:7.3f}" if number % 3 == 0 or number == height - 1 else " " * 7
        drawn.append(f"{label} ┤{''.join(line)}")
    legend = "⠒ training   o validation" if has_validation else "⠒ training"
    drawn.append(" " * 8 + "└" + "─" * width)
    drawn.append(" " * 9 + f"0{legend:^{width - 1 - len(f'step {last_step}')}}step {last_step}")
    return "\n".join(drawn)


def save_curve_png(train: Sequence[Point], validation: Sequence[Point], path: Path, title: str) -> None:
    """Write the curve as a PNG of 1200×700 pixels, whole or not at all."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    train, validation = finite(train), finite(validation)
    figure = Figure(figsize=(8, 4.67), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([p.step for p in train], [p.value for p in train], color="#4477aa", linewidth=1.2, label="training")
    if validation:
        axes.plot(
            [p.step for p in validation],
            [p.value for p in validation],
            color="#cc6677",
            marker="o",
            markersize=4,
            linewidth=1.6,
            label="validation",
        )
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("loss (nats per token)")
    axes.set_title(title, fontsize=11)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
