"""Figures as Markdown tables."""

import statistics
from collections.abc import Iterable, Iterator, Sequence


def spread(samples: Sequence[float], digits: int = 1) -> str:
    """The median, and the range in brackets."""
    low, high = min(samples), max(samples)
    return f"{statistics.median(samples):.{digits}f} ({low:.{digits}f} … {high:.{digits}f})"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Its lines; the first column names the rows."""
    yield f"| {' | '.join(columns)} |"
    yield "| --- |" + " ---: |" * (len(columns) - 1)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    for line in table(columns, rows):
        print(line)
