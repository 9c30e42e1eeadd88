"""The losses of a run as a small picture for a dark or light chat."""

from __future__ import annotations

import asyncio
import io
import math
from collections.abc import Sequence

from loquela.client.answers import Series

LOSSES = ("loss", "validation_loss")
BACKGROUND, INK, GRID = "#2b2d31", "#dbdee1", "#4e5058"
COLOURS = {"loss": "#5da9e9", "validation_loss": "#f4a259"}
LABELS = {"loss": "training", "validation_loss": "held out"}
BROKEN = "#ff6b6b"
# Steps whose loss was no number are marked; more lines than this would hide the curve.
MOST_MARKS = 20


def draw(series: Sequence[Series]) -> bytes | None:
    """A PNG of 800×360 pixels; None where there are not two points to draw a line through."""
    drawn = [one for one in series if one.key in LOSSES and any(math.isfinite(p.value) for p in one.points)]
    if sum(len(one.points) for one in drawn) < 2:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), dpi=100, layout="constrained", facecolor=BACKGROUND)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(facecolor=BACKGROUND)
    for one in drawn:
        points = [point for point in one.points if math.isfinite(point.value)]
        few = len(points) < 40 and one.key != "loss"
        axes.plot(
            [point.step for point in points],
            [point.value for point in points],
            color=COLOURS[one.key],
            linewidth=1.8,
            marker="o" if few or len(points) == 1 else None,
            markersize=4,
            label=LABELS[one.key],
        )
    marks = sorted({flag.step for one in series if one.key == "loss" for flag in one.flagged})[:MOST_MARKS]
    for position, step in enumerate(marks):
        axes.axvline(step, color=BROKEN, linewidth=1, alpha=0.8, label=None if position else "not a number")
    axes.set_xlabel("step", color=INK)
    axes.set_ylabel("loss (nats per token)", color=INK)
    axes.tick_params(colors=INK)
    axes.grid(color=GRID, alpha=0.6, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.legend(frameon=False, labelcolor=INK)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", facecolor=BACKGROUND)
    return picture.getvalue()


async def drawn(series: Sequence[Series]) -> bytes | None:
    """The same beside the event loop, which goes on meanwhile."""
    return await asyncio.to_thread(draw, series)
