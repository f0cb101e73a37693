"""Workers' counters over their restarts, and percentiles from histograms."""

from collections import Counter
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.ops.figures import worker_row
from api.ops.samples import histogram
from api.ops.totals import STARTS, Growth, figures_of
from shared.wire.histograms import SECONDS, Histogram
from shared.wire.worker_report import WorkerReport
from tests.reports import FULL


def test_a_worker_of_another_version_may_tell_less() -> None:
    nothing = WorkerReport.decode({"turns": "{}"})
    assert figures_of(nothing)["engine.generated"] == 0
    less = WorkerReport.decode({"turns": '{"outcomes": {"completed": 2}}'})
    assert figures_of(less)["outcomes.completed"] == 2


@pytest.mark.parametrize(
    ("placement", "text"),
    [
        ({}, ""),
        ({"device": "AMD EPYC", "offloaded": 0, "layers": 31}, "AMD EPYC"),
        (
            {"device": "AMD EPYC", "fitted": "3 of 8 slots"},
            "AMD EPYC; 3 of 8 slots fit into memory",
        ),
        (
            {"device": "NVIDIA H100", "offloaded": 33, "layers": 33, "flash_attention": True},
            "NVIDIA H100: 33 of 33 layers, flash attention",
        ),
        ({"device": "NVIDIA H100", "offloaded": 20, "layers": 33}, "NVIDIA H100: 20 of 33 layers"),
    ],
)
def test_a_worker_tells_what_it_runs_on(placement: dict[str, object], text: str) -> None:
    stats = orjson.dumps({"placement": placement}).decode()
    report = WorkerReport.decode({"stats": stats})
    assert worker_row("host:1:ab", report, [])["runs_on"] == text


def test_a_row_shows_what_the_worker_reports() -> None:
    assert worker_row("host:1:ab", FULL, []) == {
        "worker": "host:1:ab",
        "model": "model.gguf",
        "slots": 8,
        "running": 3,
        "draining": False,
        "tokens_per_s": 0.0,
        "runs_on": "NVIDIA H100: 20 of 33 layers, flash attention; 3 of 8 slots fit into memory",
        "batch_fill": 2.5,
        "step_ms": 12.5,
        "lane_tokens": 107,
        "lane_capacity": 108,
        "parked": 109,
        "parked_bytes": 110,
    }


def test_the_counters_are_those_that_the_worker_reports() -> None:
    figures = figures_of(FULL)
    buckets = {name: count for name, count in figures.items() if name[-1].isdigit()}
    assert {name: count for name, count in figures.items() if name not in buckets} == {
        "engine.steps": 101,
        "engine.evaluated": 104,
        "engine.cached": 105,
        "engine.generated": 106,
        "engine.preemptions": 111,
        "counts.fenced": 1,
        "counts.resumed": 3,
        "counts.crashed": 2,
        "counts.handed_over": 4,
        "counts.summaries_made": 7,
        "counts.summaries_interrupted": 8,
        "counts.summaries_failed": 9,
        "counts.summaries_refused": 10,
        "counts.summary_tokens": 11,
        "outcomes.completed": 5,
        "outcomes.generation_failed": 6,
    }
    for name, counted in FULL.turns.histograms.items():
        assert [buckets[f"{name}.{n}"] for n in range(len(counted.counts))] == counted.counts


def test_the_first_look_is_where_counting_begins() -> None:
    growth = Growth()
    assert growth.since_last({"a": {"turns": 5}}) == {"a": Counter()}
    assert growth.since_last({"a": {"turns": 7}})["a"]["turns"] == 2


def test_a_new_worker_counts_from_its_beginning() -> None:
    growth = Growth()
    growth.since_last({"a": {"turns": 5}})
    grown = growth.since_last({"a": {"turns": 5}, "b": {"turns": 3}})
    assert (grown["a"]["turns"], grown["b"]["turns"]) == (0, 3)
    assert (grown["a"][STARTS], grown["b"][STARTS]) == (0, 1)


def test_a_worker_that_comes_back_goes_on() -> None:
    growth = Growth()
    growth.since_last({"a": {"turns": 5}})
    assert growth.since_last({}) == {}
    assert growth.since_last({"a": {"turns": 6}})["a"] == Counter(turns=1, starts=0)


@given(st.lists(st.lists(st.integers(0, 50), min_size=1), min_size=1))
def test_nothing_is_lost_or_doubled_by_restarts(lives: list[list[int]]) -> None:
    """Each life counts upwards from 0, under a name of its own, and is looked at now and then."""
    growth = Growth()
    growth.since_last({})
    total: Counter[str] = Counter()
    for life, steps in enumerate(lives):
        count = 0
        for step in steps:
            count += step
            for grown in growth.since_last({f"worker {life}": {"turns": count}}).values():
                total.update(grown)
    assert total["turns"] == sum(map(sum, lives))
    assert total[STARTS] == len(lives)


@given(st.lists(st.floats(0, 400), min_size=1), st.floats(0.01, 1))
def test_a_quantile_lies_in_its_bucket(values: list[float], share: float) -> None:
    counted = Histogram()
    for value in values:
        counted.observe(value)
    found = counted.quantile(share)
    exact = sorted(values)[max(0, -int(-share * len(values) // 1) - 1)]
    bounds = (0.0, *SECONDS)
    assert found is not None
    if exact > SECONDS[-1]:
        assert found == SECONDS[-1]
    else:
        [(low, high)] = [b for b in pairwise(bounds) if b[0] < exact <= b[1]] or [bounds[:2]]
        assert low <= found <= high


def test_quantiles_of_nothing_and_of_known_values() -> None:
    assert Histogram().quantile(0.5) is None
    counted = Histogram()
    for value in (0.1, 0.2, 0.2, 0.2):
        counted.observe(value)
    # Three of four lie between 0.1 and 0.25 s.
    assert counted.quantile(0.25) == 0.1
    assert counted.quantile(1.0) == 0.25
    assert counted.quantile(0.5) == 0.15


def test_a_histogram_is_put_together_again() -> None:
    counted = Histogram()
    for value in (0.001, 0.3, 999.0):
        counted.observe(value)
    figures = {f"turn.{bucket}": float(count) for bucket, count in enumerate(counted.counts)}
    assert histogram(figures, "turn").counts == counted.counts
    assert sum(histogram(figures, "first_token").counts) == 0
