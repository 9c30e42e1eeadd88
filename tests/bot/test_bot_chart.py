"""The picture of a run's losses."""

from __future__ import annotations

import io
import struct

import numpy as np
from matplotlib import image

from loquela.bot.chart import BACKGROUND, COLOURS, draw
from loquela.client.answers import FlaggedPoint, Point, Series


def _series(key: str, values: list[float], flagged: tuple[int, ...] = ()) -> Series:
    points = [Point(step=step, value=value) for step, value in enumerate(values, start=1)]
    flags = [FlaggedPoint(step=step, flag="NaN") for step in flagged]
    return Series(key=key, points_total=len(points), exact=True, points=points, flagged=flags)


def _colours(png: bytes) -> tuple[tuple[int, int], set[tuple[int, ...]]]:
    """Size and colours of an RGBA picture, read by hand."""
    width, height = struct.unpack(">II", png[16:24])
    pixels = (image.imread(io.BytesIO(png), format="png") * 255).round().astype(int)
    found = np.unique(pixels[:, :, :3].reshape(-1, 3), axis=0)
    return (width, height), {tuple(int(part) for part in colour) for colour in found}


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour.removeprefix("#")))


def test_both_losses_are_drawn_in_their_colours() -> None:
    series = [_series("loss", [5.0 - n / 20 for n in range(80)], flagged=(40,)), _series("validation_loss", [4.5, 3.0])]
    png = draw(series)
    assert png is not None
    size, colours = _colours(png)
    assert size == (800, 360)
    assert {_rgb(BACKGROUND), _rgb(COLOURS["loss"]), _rgb(COLOURS["validation_loss"])} <= colours
    assert draw(series) == png


def test_nothing_is_drawn_of_nothing() -> None:
    assert draw([]) is None
    assert draw([_series("loss", [1.0])]) is None
    assert draw([_series("gradient_norm", [1.0, 2.0])]) is None
    assert draw([_series("loss", [float("nan"), float("inf")])]) is None
