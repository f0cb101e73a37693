"""Figures as Markdown tables."""

import statistics
from collections.abc import Iterable, Sequence


def spread(samples: Sequence[float], digits: int = 1) -> str:
    """The median, and the range in brackets."""
    low, high = min(samples), max(samples)
    return f"{statistics.median(samples):.{digits}f} ({low:.{digits}f} … {high:.{digits}f})"


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """The first column names the rows."""
    print(f"| {' | '.join(columns)} |")
    print("| --- |" + " ---: |" * (len(columns) - 1))
    for row in rows:
        print(f"| {' | '.join(row)} |")
