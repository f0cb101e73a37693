"""The results of a run as Markdown; standard library only."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

Row = dict[str, Any]


def markdown(known: dict[str, Any]) -> str:
    """A table for each step that gave rows, and a line for each that did not."""
    return "\n".join(_sections(known)) + "\n"


def _sections(known: dict[str, Any]) -> Iterator[str]:
    if "kit" in known:
        yield "Kit: " + ", ".join(f"{name} {value}" for name, value in known["kit"].items()) + ".\n"
    for name, step in known["steps"].items():
        yield f"## {name}\n"
        for fact in ("skipped", "error"):
            if step.get(fact):
                yield f"{fact}: {step[fact]}\n"
        for rows in _alike(step["rows"]):
            yield from _table(rows)
            yield ""


def _alike(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows with the same columns make a table."""
    tables: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        tables.setdefault(tuple(row), []).append(row)
    return list(tables.values())


def _table(rows: list[Row]) -> Iterator[str]:
    columns = list(rows[0])
    yield f"| {' | '.join(name.replace('_', ' ') for name in columns)} |"
    yield "| --- |" + " ---: |" * (len(columns) - 1)
    for row in rows:
        yield f"| {' | '.join(_cell(row[name]) for name in columns)} |"


def _cell(value: Any) -> str:
    formats: dict[type, Callable[[Any], str]] = {
        list: lambda triple: f"{triple[0]:.2f} ({triple[1]:.2f} … {triple[2]:.2f})",
        float: lambda number: f"{number:,.2f}",
        int: lambda number: f"{number:,}",
    }
    return formats.get(type(value), str)(value)
