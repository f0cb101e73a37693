"""From arrivals to figures, medians, ratios and the page."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.comparison.chart import Bar, Group, chart
from bench.comparison.dialogues import Turn
from bench.comparison.engines import DEFAULT, ENGINES, PALAVER, REUSING, SMALL_BATCH, UNIFIED
from bench.comparison.figures import Run, Spread, figures_of, gaps, ratios, spread
from bench.comparison.play import Played
from bench.comparison.report import Results, targets_table, write_report
from bench.comparison.rounds import describe, schedule
from bench.comparison.targets import TARGETS, Target
from bench.comparison.workloads import Conversation, Workload

PEERS = (DEFAULT, UNIFIED)


def turn(sent: float, *arrivals: float, cached: int | None = 0) -> Turn:
    return Turn(sent, list(arrivals), "text", 10, cached, 4)


def workload(thinking_s: float = 0.0) -> Workload:
    return Workload("test", "", (Conversation("", ("a", "b")),), thinking_s=thinking_s)


def runs(metric: str, *rounds: dict[str, float]) -> list[Run]:
    return [
        Run(number, "own", engine, {metric: value})
        for number, values in enumerate(rounds)
        for engine, value in values.items()
    ]


def test_figures_are_what_the_users_saw() -> None:
    played = Played(
        [
            [turn(0, 1, 1.5), turn(2, 2.1, 2.2, cached=6)],
            [turn(0, 3, 3.1), turn(4, 4.3, 5.0, cached=6)],
        ],
        wall_s=8,
    )
    figures = figures_of(workload(), played)
    assert figures["first_ttft_p50_ms"] == pytest.approx(2000)
    assert figures["first_ttft_p95_ms"] == pytest.approx(2900)
    assert figures["later_ttft_p50_ms"] == pytest.approx(200)
    assert figures["worst_gap_ms"] == pytest.approx(700)
    assert figures["reply_tok_s"] == pytest.approx(2)
    assert figures["reply_tokens"] == 16
    assert figures["evaluated_tokens"] == 28


def test_what_cannot_be_known_is_left_out() -> None:
    played = Played([[turn(0, 1, 2, cached=None), turn(2, 3, 4)]], wall_s=4)
    figures = figures_of(workload(thinking_s=1), played)
    assert "evaluated_tokens" not in figures
    assert "reply_tok_s" not in figures, "most of the time somebody was thinking"


def test_only_gaps_during_the_intrusion_count() -> None:
    played = Played([[turn(0, 1, 9, 10, 12, 13, 33)]], intrusion=turn(9.5, 12.5), wall_s=40)
    figures = figures_of(workload(), played)
    assert figures["intrusion_gap_ms"] == pytest.approx(2000)
    assert figures["intrusion_ttft_ms"] == pytest.approx(3000)
    assert "worst_gap_ms" not in figures


def test_a_gap_counts_if_it_overlaps() -> None:
    assert list(gaps(turn(0, 1, 2, 4, 7), begin=1.5, end=3)) == [1, 2]


def test_ratios_take_the_best_peer_of_the_same_round() -> None:
    found = ratios(
        runs(
            "reply_tok_s",
            {PALAVER: 100, DEFAULT: 80, UNIFIED: 100},
            {PALAVER: 120, DEFAULT: 80, UNIFIED: 60},
            {PALAVER: 90, DEFAULT: 10, UNIFIED: 30},
            {DEFAULT: 1},
        ),
        "own", "reply_tok_s", PALAVER, PEERS,
    )  # fmt: skip
    assert found == Spread(median=1.5, low=1.0, high=3.0)


def test_the_best_wait_is_the_shortest() -> None:
    waits = runs("later_ttft_p50_ms", {PALAVER: 50, DEFAULT: 200, UNIFIED: 100})
    found = ratios(waits, "own", "later_ttft_p50_ms", PALAVER, PEERS)
    assert found is not None
    assert found.median == 0.5


def test_without_both_sides_there_is_no_ratio() -> None:
    assert ratios(runs("reply_tok_s", {DEFAULT: 80}), "own", "reply_tok_s", PALAVER, PEERS) is None
    assert spread([], "own", PALAVER, "reply_tok_s") is None


def test_targets_know_which_way_is_better() -> None:
    speed, wait = Target("own", "reply_tok_s", 1.0), Target("own", "later_ttft_p50_ms", 0.7)
    assert speed.is_met(Spread(1.1, 0.5, 2))
    assert not speed.is_met(Spread(0.9, 0.5, 2))
    assert wait.is_met(Spread(0.6, 0.5, 2))
    assert not wait.is_met(Spread(0.8, 0.5, 2))


def test_every_target_can_be_seen() -> None:
    for target in TARGETS:
        assert all(ENGINES[peer].plays(target.workload) for peer in target.peers)


def test_rounds_are_interleaved_and_begin_with_another_engine() -> None:
    plan = list(schedule(2, ["own", "long"], [PALAVER, DEFAULT, REUSING]))
    assert plan == [
        (1, "own", PALAVER), (1, "own", DEFAULT),
        (1, "long", PALAVER), (1, "long", DEFAULT), (1, "long", REUSING),
        (2, "own", DEFAULT), (2, "own", PALAVER),
        (2, "long", DEFAULT), (2, "long", REUSING), (2, "long", PALAVER),
    ]  # fmt: skip
    assert not ENGINES[SMALL_BATCH].plays("own")


def test_an_error_is_described_by_its_cause() -> None:
    error = ExceptionGroup("several", [ExceptionGroup("more", [ValueError("no\nuse")])])
    assert describe(error) == "ValueError: no use"


def test_charts_are_well_formed() -> None:
    bars = [Bar("<ours>", Spread(5, 4, 6), True), Bar("theirs", Spread(50, 50, 50), False)]
    text = chart("a & b", [Group("group", bars)])
    assert "<ours>" in "".join(ElementTree.fromstring(text).itertext())


def test_a_page_can_be_written_anew_from_its_figures(tmp_path: Path) -> None:
    about = {
        "command": "python -m bench.compare", "date": "2026-01-01", "cpu": "a CPU", "cores": 2,
        "threads": 2, "palaver": "0.1", "llama_cpp_python": "0.3", "model": "m.gguf", "slots": 8,
        "seed": 1,
    }  # fmt: skip
    done = runs("reply_tok_s", {PALAVER: 100, DEFAULT: 80}, {PALAVER: 110, DEFAULT: 80})
    results = Results(about, [*done, Run(1, "own", UNIFIED, {}, error="RequestFailed: no")])
    results.save(tmp_path)
    loaded = Results.load(tmp_path)
    write_report(loaded, tmp_path)
    page = (tmp_path / "compare.md").read_text(encoding="utf-8")
    assert loaded == results
    assert "105.0 (100.0 … 110.0)" in page
    assert "| ≥ 1 | 1.31 (1.25 … 1.38) | yes |" in page
    assert "Failed: llama-server-kvu, round 1: `RequestFailed: no`" in page
    assert (tmp_path / "compare-speed.svg").exists()
    assert targets_table([]) == ""
