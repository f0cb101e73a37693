"""Code can be read in both colour schemes."""

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[3] / "api" / "web" / "static"
READABLE = 4.5
"""The contrast that WCAG 2 asks for (AA)."""


def colours(sheet: str, scheme: int) -> dict[str, str]:
    """The colours of a sheet by name, of the light (0) or the dark (1) scheme."""
    text = (STATIC / sheet).read_text(encoding="utf-8")
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", text)
    return {name: both[scheme] for name, *both in pairs}


def luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_highlighted_code_stands_out_from_its_box(scheme: int) -> None:
    box = luminance(colours("base.css", scheme)["code"])
    code = {n: c for n, c in colours("reply.css", scheme).items() if n.startswith("hl-")}
    assert len(code) == 8
    for name, colour in code.items():
        lower, higher = sorted((box, luminance(colour)))
        assert (higher + 0.05) / (lower + 0.05) >= READABLE, name
