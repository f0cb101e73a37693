"""Bar charts as SVG: a bar for the median, a line across it for the range of the rounds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from bench.comparison.figures import Spread

WIDTH: Final = 860
NAMES_END: Final = 360
BARS_END: Final = 780
ROW: Final = 22
HEAD: Final = 44
GROUP_HEAD: Final = 30
OURS: Final = "#2f6f8f"
THEIRS: Final = "#b9bfc6"
INK: Final = "#1d2329"


@dataclass(frozen=True)
class Bar:
    name: str
    value: Spread
    is_ours: bool


@dataclass(frozen=True)
class Group:
    """Bars that share a scale."""

    title: str
    bars: Sequence[Bar]


def chart(title: str, groups: Sequence[Group]) -> str:
    """The chart's SVG text; each group has a scale of its own, and every bar its number."""
    height = HEAD + sum(GROUP_HEAD + ROW * len(group.bars) for group in groups) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="16" y="26" font-size="16" font-weight="600">{escape(title)}</text>',
    ]
    top = HEAD
    for group in groups:
        parts.append(f'<text x="16" y="{top + 18}" font-weight="600">{escape(group.title)}</text>')
        top += GROUP_HEAD
        widest = max(bar.value.high for bar in group.bars)
        for bar in group.bars:
            parts += row(bar, top, (BARS_END - NAMES_END) / widest)
            top += ROW
    return "\n".join([*parts, "</svg>", ""])


def row(bar: Bar, top: int, scale: float) -> Iterator[str]:
    """A name, its bar, the range, the number."""
    middle = top + ROW / 2
    median, low, high = (
        NAMES_END + scale * value for value in (bar.value.median, bar.value.low, bar.value.high)
    )
    yield (
        f'<text x="{NAMES_END - 8}" y="{middle + 4}" text-anchor="end" font-size="12">'
        f"{escape(bar.name)}</text>"
    )
    yield (
        f'<rect x="{NAMES_END}" y="{top + 3}" width="{median - NAMES_END:.1f}" '
        f'height="{ROW - 6}" fill="{OURS if bar.is_ours else THEIRS}"/>'
    )
    yield f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="{INK}" stroke-width="1.5"/>'
    yield (
        f'<text x="{BARS_END + 8}" y="{middle + 4}" font-size="12">{bar.value.median:,.0f}</text>'
    )
