"""Draw the icons of the installed chat page: `python .ci/icons.py` writes them into its folder.

The speech bubble of `icon.svg` in white on a full square: systems cut it into shapes of their own,
and leave a circle of four fifths of its width at least.
"""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

STATIC = Path(__file__).resolve().parent.parent / "api" / "web" / "static"
SIZES = (180, 192, 512)
"""Pixels: what iOS takes, and what Android does for its home screen and while it starts."""

GREEN = (31, 111, 92)
WHITE = (255, 255, 255)

UNITS = 32
"""Units of a drawing's side, as in `icon.svg`."""
SHRUNK = 0.56
TAIL = ((7, 22), (15, 22), (7, 30))
LINES = (((8, 11), (24, 11)), ((8, 16), (18, 16)))
LINE_WIDTH = 2.5

Point = tuple[float, float]


def to_box(point: Point, left: float, top: float, right: float, bottom: float) -> float:
    """The distance to a box with round corners of 3 units; negative inside."""
    radius = 3
    across = abs(point[0] - (left + right) / 2) - (right - left) / 2 + radius
    down = abs(point[1] - (top + bottom) / 2) - (bottom - top) / 2 + radius
    outside = (max(across, 0) ** 2 + max(down, 0) ** 2) ** 0.5
    return float(outside + min(max(across, down), 0) - radius)


def to_polygon(point: Point, corners: Sequence[Point]) -> float:
    """The distance to a convex polygon, clockwise; negative inside, too small beyond corners."""
    distances = []
    for (x, y), (next_x, next_y) in zip(corners, (*corners[1:], corners[0]), strict=True):
        length = ((next_x - x) ** 2 + (next_y - y) ** 2) ** 0.5
        side = (point[0] - x) * (next_y - y) - (point[1] - y) * (next_x - x)
        distances.append(side / length)
    return max(distances)


def to_line(point: Point, start: Point, end: Point) -> float:
    """The distance to a level line with round ends; negative on it."""
    nearest = min(max(point[0], start[0]), end[0])
    away = ((point[0] - nearest) ** 2 + (point[1] - start[1]) ** 2) ** 0.5
    return float(away - LINE_WIDTH / 2)


def whiteness(point: Point, pixel: float) -> float:
    """How much of a pixel of this width, in units, is white: 0 to 1."""
    bubble = min(to_box(point, 1, 4, 31, 23), to_polygon(point, TAIL))
    lines = min(to_line(point, *line) for line in LINES)
    return min(max(0.5 - max(bubble, -lines) / pixel, 0), 1)


def draw(size: int) -> bytes:
    """A PNG file with a side of so many pixels."""
    pixel = UNITS / size / SHRUNK
    rows = []
    for y in range(size):
        row = bytearray(b"\0")
        for x in range(size):
            point = (
                UNITS / 2 + (x + 0.5 - size / 2) * pixel,
                UNITS / 2 + 1 + (y + 0.5 - size / 2) * pixel,
            )
            share = whiteness(point, pixel)
            row += bytes(round(a + (b - a) * share) for a, b in zip(GREEN, WHITE, strict=True))
        rows.append(bytes(row))
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (
            chunk(b"IHDR", header),
            chunk(b"IDAT", zlib.compress(b"".join(rows), 9)),
            chunk(b"IEND", b""),
        )
    )


def chunk(kind: bytes, data: bytes) -> bytes:
    """A part of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


if __name__ == "__main__":
    for size in SIZES:
        (STATIC / f"icon-{size}.png").write_bytes(draw(size))
