"""From what users saw to figures, and from figures of several rounds to medians and ratios."""

import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from bench.comparison.dialogues import Turn
from bench.comparison.play import Played
from bench.comparison.workloads import Workload

Figures = dict[str, float]


@dataclass(frozen=True)
class Metric:
    """What is measured.

    Args:
        title: as in the report.
        digits: behind the decimal point, in the report.
        more_is_better: whether it is a speed.
    """

    title: str
    digits: int = 0
    more_is_better: bool = False

    @property
    def best(self) -> Callable[[Iterable[float]], float]:
        return max if self.more_is_better else min


METRICS: Final[dict[str, Metric]] = {
    "first_ttft_p50_ms": Metric("first TTFT p50, ms"),
    "first_ttft_p95_ms": Metric("first TTFT p95, ms"),
    "later_ttft_p50_ms": Metric("later TTFT p50, ms"),
    "later_ttft_p95_ms": Metric("later TTFT p95, ms"),
    "reply_tok_s": Metric("reply tok/s", 1, more_is_better=True),
    "worst_gap_ms": Metric("worst gap, ms"),
    "intrusion_ttft_ms": Metric("TTFT of the long prompt, ms"),
    "intrusion_gap_ms": Metric("worst gap of the streams meanwhile, ms"),
    "evaluated_tokens": Metric("prompt tokens evaluated"),
    "reply_tokens": Metric("reply tokens"),
    "host_share_percent": Metric("Python's share of a step, %", 1),
}


@dataclass(frozen=True)
class Run:
    """One engine's figures for one workload in one round; `error` says why there are none."""

    round: int
    workload: str
    engine: str
    figures: Figures
    error: str = ""
    others_cores: float = 0.0
    client_load: float = 0.0


@dataclass(frozen=True)
class Spread:
    """The median of several rounds, and how far they lie apart."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread | None":
        return cls(statistics.median(values), min(values), max(values)) if values else None


def figures_of(workload: Workload, played: Played) -> Figures:
    """Every metric that the workload and the server's answers allow."""
    turns = [turn for conversation in played.turns for turn in conversation]
    first = [conversation[0].ttft for conversation in played.turns]
    later = [turn.ttft for one in played.turns for turn in one[workload.later_from :]]
    figures = ttft_figures("first", first) | ttft_figures("later", later)
    if played.intrusion is None:
        figures["worst_gap_ms"] = 1e3 * max(gap for turn in turns for gap in gaps(turn))
    else:
        begin, end = played.intrusion.sent, played.intrusion.arrivals[0]
        meanwhile = (gap for turn in turns for gap in gaps(turn, begin, end))
        figures["intrusion_gap_ms"] = 1e3 * max(meanwhile)
        figures["intrusion_ttft_ms"] = 1e3 * played.intrusion.ttft
        turns.append(played.intrusion)
    figures["reply_tokens"] = sum(turn.reply_tokens for turn in turns)
    if not workload.thinking_s:
        figures["reply_tok_s"] = figures["reply_tokens"] / played.wall_s
    evaluated = [turn.evaluated for turn in turns if turn.evaluated is not None]
    if len(evaluated) == len(turns):
        figures["evaluated_tokens"] = sum(evaluated)
    return figures


def ttft_figures(which: str, seconds: list[float]) -> Figures:
    if not seconds:
        return {}
    p50, p95 = np.percentile(np.array(seconds) * 1e3, (50, 95))
    return {f"{which}_ttft_p50_ms": float(p50), f"{which}_ttft_p95_ms": float(p95)}


def gaps(turn: Turn, begin: float = -np.inf, end: float = np.inf) -> Iterator[float]:
    """The times between pieces that overlap a span of time."""
    for earlier, later in pairwise(turn.arrivals):
        if later > begin and earlier < end:
            yield later - earlier


def spread(runs: Iterable[Run], workload: str, engine: str, metric: str) -> Spread | None:
    """A figure over all rounds that have it."""
    return Spread.of(
        [
            run.figures[metric]
            for run in runs
            if (run.workload, run.engine) == (workload, engine) and metric in run.figures
        ]
    )


def ratios(
    runs: Iterable[Run], workload: str, metric: str, ours: str, peers: tuple[str, ...]
) -> Spread | None:
    """Our figure as a multiple of the best peer's, within each round; then over the rounds."""
    rounds: dict[int, dict[str, float]] = {}
    for run in runs:
        if run.workload == workload and metric in run.figures:
            rounds.setdefault(run.round, {})[run.engine] = run.figures[metric]
    return Spread.of(
        [
            figures[ours] / METRICS[metric].best(theirs)
            for figures in rounds.values()
            if ours in figures and (theirs := [figures[peer] for peer in peers if peer in figures])
        ]
    )
