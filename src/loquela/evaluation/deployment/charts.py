"""Charts as SVG: plain shapes and text, coloured by the page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 520.0, 250.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 14.0, 14.0, 36.0
COLOURS = 3
STEPS = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class Frame:
    """From values to places: both axes begin at 0."""

    x_most: float
    y_most: float

    def x(self, value: float) -> float:
        """Place from the left."""
        return LEFT + (WIDTH - LEFT - RIGHT) * value / self.x_most

    def y(self, value: float) -> float:
        """Place from the top."""
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / self.y_most


def ticks(most: float, about: int = 5) -> list[float]:
    """Round numbers from 0 to `most`, about so many."""
    rough = most / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in STEPS if power * factor >= rough)
    return [index * step for index in range(int(most / step + 1e-9) + 1)]


def scatter(
    groups: Sequence[Sequence[tuple[float, float]]], missing: Sequence[float], limit: float | None, what: str
) -> str:
    """Points (seconds, milliseconds) of every repeat, crosses at the bottom for requests without an answer."""
    points = [point for group in groups for point in group]
    frame = Frame(
        max([x for x, _ in points] + [*missing, 1e-9]) * 1.02,
        max([y for _, y in points] + ([limit] if limit is not None and _near(limit, points) else []) + [1e-9]) * 1.08,
    )
    parts = [*_axes(frame, "seconds since the load began", "ms")]
    for index, group in enumerate(groups):
        parts += [
            f'<circle class="c{index % COLOURS + 1}" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="3">'
            f"<title>repeat {index + 1}: arrived after {x:.2f} s, answered in {y:.1f} ms</title></circle>"
            for x, y in group
        ]
    base = frame.y(0)
    parts += [f'<path class="cross" d="M{frame.x(x) - 4:.1f} {base - 8:.1f}l8 8m0 -8l-8 8"/>' for x in missing]
    parts += _limit_line(frame, limit)
    return _svg(parts, what)


def cumulative(curves: Sequence[tuple[str, Sequence[float]]], limit: float | None, what: str) -> str:
    """For each curve, the share of values that are at most x milliseconds."""
    values = [value for _, curve in curves for value in curve]
    most = max([*values, 1e-9]) * 1.04
    frame = Frame(most, 1.0)
    parts = [*_axes(frame, "ms", "share")]
    for index, (_, curve) in enumerate(curves):
        ordered = sorted(curve)
        path = f"M{frame.x(0):.1f} {frame.y(0):.1f}"
        for place, value in enumerate(ordered, 1):
            path += f"H{frame.x(value):.1f}V{frame.y(place / len(ordered)):.1f}"
        parts.append(f'<path class="curve c{index % COLOURS + 1}" d="{path}H{frame.x(most):.1f}"/>')
    if limit is not None and limit <= most:
        x = frame.x(limit)
        parts.append(f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{frame.y(0):.1f}"/>')
    return _svg(parts, what)


def gauge(measured: float, limit: float, *, met: bool) -> str:
    """A bar as long as what was measured, a mark where the limit is; shares of the longer of the two."""
    most = max(measured, limit, 1e-12) * 1.05
    kind = "met" if met else "missed"
    return (
        '<svg viewBox="0 0 180 14" aria-hidden="true">'
        f'<rect class="bar {kind}" x="0" y="3" width="{max(1.0, 180 * measured / most):.1f}" height="8" rx="2"/>'
        f'<line class="limit" x1="{180 * limit / most:.1f}" x2="{180 * limit / most:.1f}" y1="0" y2="14"/></svg>'
    )


def _near(limit: float, points: Sequence[tuple[float, float]]) -> bool:
    """Whether a limit is worth the room: one far above every point would press them onto the axis."""
    return limit <= 3 * max((y for _, y in points), default=limit)


def _axes(frame: Frame, x_title: str, y_title: str) -> Iterator[str]:
    bottom, right = frame.y(0), WIDTH - RIGHT
    for value in ticks(frame.y_most):
        y = frame.y(value)
        yield f'<line class="axis" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
    for value in ticks(frame.x_most):
        yield f'<text x="{frame.x(value):.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{value:g}</text>'
    yield f'<text x="{(LEFT + right) / 2:.1f}" y="{HEIGHT - 4}" text-anchor="middle">{escape(x_title)}</text>'
    yield f'<text x="4" y="{TOP - 3}">{escape(y_title)}</text>'


def _limit_line(frame: Frame, limit: float | None) -> list[str]:
    if limit is None or limit > frame.y_most:
        return []
    y = frame.y(limit)
    return [
        f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>',
        f'<text class="limit-text" x="{WIDTH - RIGHT}" y="{y - 4:.1f}" text-anchor="end">objective {limit:g} ms</text>',
    ]


def _svg(parts: Sequence[str], what: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{escape(what)}">{"".join(parts)}</svg>'
