"""One question of the simulation, and what came out: a table, perhaps charts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.simulate.chart import Chart


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page."""

    title: str
    question: str
    columns: Sequence[str]
    """The first one names the rows."""
    rows: Sequence[Sequence[str]]
    charts: dict[str, Chart] = field(default_factory=dict)
    """By file name, without its ending."""
