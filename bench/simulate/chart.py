"""Line charts as SVG."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10
from typing import Final

WIDTH: Final = 860
HEIGHT: Final = 360
LEFT: Final = 64
RIGHT: Final = 700
TOP: Final = 48
BOTTOM: Final = 312
INK: Final = "#1d2329"
GRID: Final = "#e4e7ea"
COLOURS: Final = ("#2f6f8f", "#c0562b", "#8a8f95", "#6a994e", "#7b5ea7")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A name and its points, from left to right."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Lines over one scale; what is above `highest` is cut off there."""

    title: str
    across: str
    """What the horizontal axis shows, with its unit."""
    lines: Sequence[Line]
    highest: float

    @property
    def span(self) -> tuple[float, float]:
        across = [x for line in self.lines for x, _ in line.points]
        return min(across), max(across)


def svg(chart: Chart) -> str:
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="16" y="26" font-size="16" font-weight="600">{escape(chart.title)}</text>',
        *_axes(chart),
        *_lines(chart),
    ]
    return "\n".join([*parts, "</svg>", ""])


def steps(lowest: float, highest: float) -> list[float]:
    """Five to ten round numbers between the two."""
    span = highest - lowest
    unit = 10 ** floor(log10(span))
    size = next(s for s in (unit / 10, unit / 5, unit / 4, unit / 2, unit) if span / s <= 10)
    first = -(-lowest // size)
    count = int(round(highest / size, 6) - first) + 1
    return [round((first + i) * size, 6) for i in range(count)]


def _x(chart: Chart, value: float) -> float:
    low, high = chart.span
    return LEFT + (RIGHT - LEFT) * (value - low) / (high - low)


def _y(chart: Chart, value: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * min(value, chart.highest) / chart.highest


def _axes(chart: Chart) -> Iterator[str]:
    for value in steps(0, chart.highest):
        y = _y(chart, value)
        yield f'<path d="M{LEFT} {y:.1f}H{RIGHT}" stroke="{GRID}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
    for value in steps(*chart.span):
        x = _x(chart, value)
        yield f'<path d="M{x:.1f} {BOTTOM}v5" stroke="{INK}"/>'
        yield f'<text x="{x:.1f}" y="{BOTTOM + 19}" text-anchor="middle">{value:g}</text>'
    yield f'<path d="M{LEFT} {BOTTOM}H{RIGHT}" stroke="{INK}"/>'
    middle = (LEFT + RIGHT) / 2
    yield f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">{escape(chart.across)}</text>'


def _lines(chart: Chart) -> Iterator[str]:
    for line, colour in zip(chart.lines, COLOURS, strict=False):
        points = " ".join(f"{_x(chart, x):.1f},{_y(chart, y):.1f}" for x, y in line.points)
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
    yield from _names(chart)


def _names(chart: Chart) -> Iterator[str]:
    """At the right, each at the height of its line's end or a row below the one before."""
    ends = sorted(
        (_y(chart, line.points[-1][1]), line.name, colour)
        for line, colour in zip(chart.lines, COLOURS, strict=False)
    )
    last = 0.0
    for y, name, colour in ends:
        last = max(y + 4, last + 16)
        yield f'<text x="{RIGHT + 8}" y="{last:.1f}" fill="{colour}">{escape(name)}</text>'
