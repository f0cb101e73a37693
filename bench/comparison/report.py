"""The results as a page of Markdown with charts beside it."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from bench.comparison.chart import Bar, Group, chart
from bench.comparison.engines import ENGINES, PALAVER
from bench.comparison.figures import METRICS, Run, Spread, spread
from bench.comparison.targets import BEST, TARGETS, Target
from bench.comparison.workloads import NAMES, make_workload

STEM: Final = "compare"
HEADER: Final = """\
# Palaver beside its peers

This page and its charts are written by `bench/compare.py`, from the figures in `compare.json`:

    {command}

{date}, {cpu}, {cores} cores, {threads} threads for every engine. Palaver {palaver} is
measured whole: API, Valkey, one worker. llama-server is built from the sources of llama.cpp inside
llama-cpp-python {llama_cpp_python}. All have {slots} slots and the same model file, {model}.

Greedy, end of text ignored, each engine's own replies fed back, everything over HTTP on loopback
as event streams. Each server is started anew for each workload, and the rounds ({rounds}) are
interleaved. Figures are medians over the rounds, with the range in brackets, as the client sees
them; TTFT is the time from sending a prompt to the first text of its reply. Other processes used
at most {others:.2f} cores during a run, and the client {client:.1%} of one.

Targets are ratios within a round, Palaver's figure to the better one of llama-server's two general
settings unless another is named:
"""

CHARTS: Final = {
    "speed": ("Reply tokens a second (more is better)",
              [("own", "reply_tok_s"), ("shared", "reply_tok_s"), ("many", "reply_tok_s")]),
    "waiting": ("Time to the first token, ms (less is better)",
                [("shared", "first_ttft_p95_ms"), ("many", "later_ttft_p50_ms"),
                 ("one", "later_ttft_p50_ms"), ("long", "later_ttft_p50_ms"),
                 ("long", "later_ttft_p95_ms")]),
    "gaps": ("Longest silence of a running stream, ms (less is better)",
             [("burst", "intrusion_gap_ms"), ("own", "worst_gap_ms"), ("many", "worst_gap_ms")]),
}  # fmt: skip


@dataclass(frozen=True)
class Results:
    """All runs, and what they were made with (the values that the page's header names)."""

    about: dict[str, Any]
    runs: list[Run]

    def save(self, folder: Path) -> None:
        data = orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2)
        (folder / f"{STEM}.json").write_bytes(data + b"\n")

    @classmethod
    def load(cls, folder: Path) -> "Results":
        data = orjson.loads((folder / f"{STEM}.json").read_bytes())
        return cls(data["about"], [Run(**run) for run in data["runs"]])


def write_report(results: Results, folder: Path) -> None:
    """`compare.md` and its charts."""
    parts = [header(results), targets_table(results.runs)]
    for stem, (title, wanted) in CHARTS.items():
        if groups := list(chart_groups(results.runs, wanted)):
            name = f"{STEM}-{stem}.svg"
            (folder / name).write_text(chart(title, groups), encoding="utf-8")
            parts.append(f"![{title}]({name})\n")
    seed = results.about["seed"]
    for workload in NAMES:
        if table := workload_table(results.runs, workload):
            parts.append(f"## {workload}: {make_workload(workload, seed).title}\n\n{table}")
    (folder / f"{STEM}.md").write_text("\n".join(parts), encoding="utf-8")


def header(results: Results) -> str:
    runs = [run for run in results.runs if not run.error]
    return HEADER.format(
        **results.about,
        rounds=len({run.round for run in results.runs}),
        others=max((run.others_cores for run in runs), default=0.0),
        client=max((run.client_load for run in runs), default=0.0),
    )


def targets_table(runs: Sequence[Run]) -> str:
    """The targets that these runs say something about."""
    rows = [(target, seen) for target in TARGETS if (seen := target.seen(runs)) is not None]
    lines = ["| workload | Palaver's | against | target | seen | met |", "| --- " * 6 + "|"]
    lines += [target_row(target, seen) for target, seen in rows]
    return "\n".join([*lines, ""]) if rows else ""


def target_row(target: Target, seen: Spread) -> str:
    metric = METRICS[target.metric]
    sign = "≥" if metric.more_is_better else "≤"
    digits = 2 if target.peers else metric.digits
    cells = (
        target.workload,
        metric.title,
        against(target.peers),
        f"{sign} {target.bound:g}",
        spread_text(seen, digits),
        "yes" if target.is_met(seen) else "**no**",
    )
    return f"| {' | '.join(cells)} |"


def against(peers: tuple[str, ...]) -> str:
    if not peers:
        return "nothing: its own figure"
    return "llama-server's best" if peers == BEST else ENGINES[peers[0]].title


def workload_table(runs: Sequence[Run], workload: str) -> str:
    """One row for each engine, one column for each figure; failed runs below."""
    of_workload = [run for run in runs if run.workload == workload]
    metrics = [name for name in METRICS if any(name in run.figures for run in of_workload)]
    if not of_workload:
        return ""
    titles = (METRICS[name].title for name in metrics)
    lines = [f"| | {' | '.join(titles)} |", f"| --- |{' ---: |' * len(metrics)}"]
    for engine in ENGINES:
        values = [spread(of_workload, workload, engine, name) for name in metrics]
        if any(values):
            cells = (
                "" if value is None else spread_text(value, METRICS[name].digits)
                for name, value in zip(metrics, values, strict=True)
            )
            lines.append(f"| {ENGINES[engine].title} | {' | '.join(cells)} |")
    failed = [run for run in of_workload if run.error]
    lines += [f"\nFailed: {run.engine}, round {run.round}: `{run.error}`" for run in failed]
    return "\n".join([*lines, ""])


def spread_text(value: Spread, digits: int) -> str:
    median, low, high = (
        f"{number:,.{digits}f}" for number in (value.median, value.low, value.high)
    )
    return median if low == high else f"{median} ({low} … {high})"


def chart_groups(runs: Sequence[Run], wanted: list[tuple[str, str]]) -> Iterator[Group]:
    for workload, metric in wanted:
        bars = [
            Bar(engine.title, value, name == PALAVER)
            for name, engine in ENGINES.items()
            if (value := spread(runs, workload, name, metric)) is not None
        ]
        if bars:
            yield Group(f"{workload}: {METRICS[metric].title}", bars)
