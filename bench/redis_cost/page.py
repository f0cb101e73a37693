"""The figures as a page: what stands between its markers is written anew."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.redis_cost.bells import Ring
from bench.redis_cost.busy import BEFORE, CELLS, IN_CELLS, LOADS, busy
from bench.redis_cost.idle import Idle
from bench.redis_cost.timing import Timing, quietest
from bench.tables import table

BEGIN: Final = "<!-- Figures: by python -m bench.redis_cost --write docs/benchmarks -->"
END: Final = "<!-- End of figures -->"
NAME: Final = "redis.md"
PRIMARIES: Final = 3
SCRIPTS: Final = {
    "submit": "submit",
    "take": "take one turn",
    "beat": "beat for 8 turns",
    "publish": "publish for 8 turns",
    "publish, watched": "publish for 8 turns that are streamed",
    "commit": "commit",
    "announce": "announce",
    "keep": "keep (the keeper's)",
    "place": "one place",
    "places": "100 places",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything that was measured; times by the number of owners that wait."""

    load: float
    now: Mapping[int, Mapping[str, Timing]]
    before: Mapping[int, Mapping[str, Timing]]
    rings: Sequence[Ring]
    idle: Idle


def lines(figures: Figures) -> Iterator[str]:
    cores = os.cpu_count()
    yield f"{cores} cores, one-minute load {figures.load:.1f} at the start."
    for section in (_scripts, _busy, _cells, _before, _bells, _idle):
        yield ""
        yield from section(figures)


def _scripts(figures: Figures) -> Iterator[str]:
    yield "## Scripts"
    yield ""
    yield "Microseconds of the script alone, median and 99th percentile, by owners that wait:"
    yield ""
    rows = [
        [title, *(f"{t[name].median:.0f}, {t[name].p99:.0f}" for t in figures.now.values())]
        for name, title in SCRIPTS.items()
    ]
    yield from table(["", *(f"{owners:,}" for owners in figures.now)], rows)
    most = max(figures.now)
    name, timing = max(figures.now[most].items(), key=lambda item: item[1].longest)
    yield ""
    yield (
        f"With {most:,} owners and 1,000 turns whose places are looked up, the longest call of any "
        f"script took {timing.longest / 1000:.1f} ms ({SCRIPTS.get(name, name)}; goal: 2)."
    )


def _busy(figures: Figures) -> Iterator[str]:
    yield "## A busy worker"
    yield ""
    yield (
        "8 slots, 50 tokens a second each, replies of 250 tokens. Each script's median times its "
        "calls in a second; as the work is the same for any number of owners, the quietest of the "
        "columns above counts:"
    )
    yield ""
    timings = quietest(figures.now.values())
    rows = []
    for name, calls in LOADS.items():
        cost = busy(calls, timings)
        rows.append(
            [name, f"{cost.script_ms:.2f}", f"{cost.workers:,}", f"{cost.cpu_ms:.2f}",
             f"{cost.workers_by_cpu:,}"]
        )  # fmt: skip
    columns = ["", "ms of scripts a second", "workers for 70 % of a core (goal: 400)",
               "ms of CPU a second", "workers by that"]  # fmt: skip
    yield from table(columns, rows)
    yield ""
    yield (
        "CPU is that of the whole server process: reading calls, the append-only file, answers. "
        "Here calls came one at a time; under load many share what a round of the server costs. "
        "The truth is between the two."
    )


def _cells(figures: Figures) -> Iterator[str]:
    yield "## Three primaries"
    yield ""
    yield (
        "A script is in one cell and knows of no other, so each primary has its own core. "
        f"Arithmetic over the times above, as two cores cannot run three: a worker of {CELLS} "
        "cells beats and publishes in each of them, and there is less in each call."
    )
    yield ""
    timings = quietest(figures.now.values())
    rows = []
    for name, calls in IN_CELLS.items():
        one, spread = busy(LOADS[name], timings), busy(calls, timings)
        by_script, by_cpu = one.script_ms / spread.script_ms, one.cpu_ms / spread.cpu_ms
        rows.append([name, "3.00", f"{PRIMARIES * by_script:.2f}", f"{PRIMARIES * by_cpu:.2f}"])
    columns = [
        "turns of three primaries, in multiples of one without cells",
        "workers of one cell (goal: 2.7)",
        f"of {CELLS}, by script times",
        "by CPU",
    ]
    yield from table(columns, rows)


def _before(figures: Figures) -> Iterator[str]:
    yield "## Before there was a row of workers"
    yield ""
    if not figures.before:
        yield "Not measured: the commit is not in this clone."
        return
    yield (
        "Medians of that version as multiples of this one's, by owners that wait. Its beat is for "
        "one turn, and `keep` stands for what every worker did every two seconds:"
    )
    yield ""
    rows = [
        [title, *(
            f"{timings[name].median / figures.now[owners][name].median:.1f}"
            for owners, timings in figures.before.items()
        )]
        for name, title in SCRIPTS.items()
    ]  # fmt: skip
    yield from table(["", *(f"{owners:,}" for owners in figures.before)], rows)
    yield ""
    rows = []
    for owners, timings in figures.before.items():
        then = busy(BEFORE, timings)
        rows.append([f"{owners:,}", f"{then.script_ms:.1f}", f"{then.workers:,}"])
    columns = ["owners that wait", "ms of scripts a second of a busy worker", "workers for 70 %"]
    yield from table(columns, rows)


def _bells(figures: Figures) -> Iterator[str]:
    yield "## Bells"
    yield ""
    yield (
        "Microseconds of CPU until one of so many waiting workers is awake, the measurement's own "
        "questions included:"
    )
    yield ""
    rows = [
        [f"{ring.workers:,}", f"{ring.woken:.2f}", f"{ring.own_us:.0f}", f"{ring.shared_us:.0f}"]
        for ring in figures.rings
    ]
    yield from table(["workers", "woken by a bell", "a stream for each", "one for all"], rows)


def _idle(figures: Figures) -> Iterator[str]:
    idle = figures.idle
    yield "## Idle workers"
    yield ""
    yield (
        f"{idle.workers:,} workers without turns: {idle.share:.1%} of a core (goal: 2 %), "
        f"{idle.calls:.0f} commands a second, those inside scripts included."
    )


def write(folder: Path, figures: Figures) -> None:
    page = folder / NAME
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    text = "\n".join([BEGIN, "", *lines(figures), "", END])
    page.write_text(before + text + after, encoding="utf-8")
