"""The simulation: its parts do what they stand for, and its figures hang together."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.simulate.__main__ import SECTIONS
from bench.simulate.cache import Cache
from bench.simulate.chart import Chart, Line, steps, svg
from bench.simulate.figures import Figures
from bench.simulate.lines import Owners
from bench.simulate.page import page, write_page
from bench.simulate.section import Section
from bench.simulate.settings import (
    Cluster,
    Crowd,
    Deaths,
    Growth,
    Plan,
    Policy,
    Rollout,
    Users,
)
from bench.simulate.simulation import simulate
from bench.simulate.turn import STARTED, Turn
from bench.simulate.users import Dialogue, think_times, turns_a_second
from bench.simulate.workers import FreeWorkers, Worker

SMALL = Plan(cluster=Cluster(workers=10), warm_up_s=20, measured_s=60)


def small(policy: Policy = Policy.BOUNDED, *, load: float = 0.7) -> Plan:
    return replace(
        SMALL,
        cluster=replace(SMALL.cluster, policy=policy),
        users=replace(SMALL.users, load=load),
    )


def turn(owner: int = 0, *, reply: int = 50) -> Turn:
    return Turn(Dialogue(number=0, owner=owner, think_s=8), 0.0, 100, reply)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 60), st.integers(0, 2)), max_size=60))
def test_a_cache_holds_what_was_used_last_and_no_more_than_fits(
    uses: list[tuple[int, int, int]],
) -> None:
    cache = Cache(100)
    for dialogue, tokens, persona in uses:
        cache.put(dialogue, tokens, persona)
    latest = {dialogue: (tokens, persona) for dialogue, tokens, persona in uses}
    order = list(dict.fromkeys(dialogue for dialogue, *_ in reversed(uses)))
    held = [dialogue for dialogue in order if cache.tokens_of(dialogue)]
    assert held == order[: len(held)]
    assert all(cache.tokens_of(dialogue) == latest[dialogue][0] for dialogue in held)
    assert sum(cache.tokens_of(dialogue) for dialogue in held) <= 100
    personas = Counter(latest[dialogue][1] for dialogue in held)
    assert all(cache.has_persona(persona) == (personas[persona] > 0) for persona in range(3))


@pytest.mark.parametrize(("stall", "ends"), [(1.0, 2.0), (0.5, 1.5), (0.0, 1.0)])
def test_replies_stand_still_while_a_prompt_is_evaluated(stall: float, ends: float) -> None:
    worker = Worker(0, Cluster(prompt_rate=1000, reply_rate=50, stall=stall))
    worker.begin(0.0, turn(reply=50), 0)
    assert worker.next_end(0.0) == pytest.approx(1.0)
    assert worker.begin(0.5, turn(reply=500), 1000) == pytest.approx(1.5)
    assert worker.next_end(0.5) == pytest.approx(ends)
    assert worker.end(ends).reply_tokens == 50


def test_prompts_are_evaluated_one_after_another_and_short_ones_first() -> None:
    worker = Worker(0, Cluster(prompt_rate=1000))
    assert worker.begin(0.0, turn(), 1000) == pytest.approx(1.0)
    assert worker.begin(0.0, turn(), 1000) == pytest.approx(2.0)
    assert worker.begin(0.0, turn(), 100) == pytest.approx(0.1)


def test_the_least_busy_worker_is_woken_first_and_a_dead_one_not_again_and_again() -> None:
    free = FreeWorkers(3)
    free.put(0, 2)
    free.put(1, 0)
    free.put(2, 1)
    assert [free.wake_first(float(now)) for now in range(1, 6)] == [1, 2, 1, 0, 2]


def test_owners_take_turns() -> None:
    owners = Owners()
    for owner in (1, 1, 1, 2, 3):
        waiting = turn(owner)
        waiting.tag = owners.tag(owner)
        owners.join(waiting)
        owners.add(waiting)
    served = []
    while (following := owners.next()) is not None:
        owners.start(following)
        following.state = STARTED
        served.append(following.dialogue.owner)
    assert served == [1, 2, 3, 1, 1]


@given(load=st.floats(0.2, 1.1), zipf=st.floats(0.0, 1.5))
def test_users_ask_as_often_as_the_load_says(load: float, zipf: float) -> None:
    cluster, users = Cluster(workers=5), Users(load=load, zipf=zipf)
    thinks = think_times(cluster, users)
    assert min(thinks) >= users.think_s
    rate = sum(1 / (think + 5.05) for think in thinks)
    assert rate == pytest.approx(turns_a_second(cluster, users), rel=0.02)


def columns(figures: Figures) -> tuple[list[float], list[int]]:
    return list(figures.first_token_s), list(figures.cached)


def test_the_same_seed_gives_the_same_run() -> None:
    first, second, other = (simulate(replace(SMALL, seed=seed)) for seed in (1, 1, 2))
    assert columns(first) == columns(second)
    assert columns(first) != columns(other)


@pytest.mark.parametrize("policy", Policy)
def test_nothing_is_cached_that_was_not_evaluated(policy: Policy) -> None:
    figures = simulate(small(policy))
    assert len(figures.at_s) > 500
    pairs = zip(figures.cached, figures.reusable, strict=True)
    assert all(0 <= cached <= reusable for cached, reusable in pairs)
    assert min(figures.waited_s) >= 0


def test_affinity_is_worth_having_and_waiting_without_bound_is_not() -> None:
    none, strict, bounded = (simulate(small(policy, load=0.85)) for policy in Policy)
    assert none.hits < 0.3
    assert bounded.hits > 0.75 * strict.hits
    assert bounded.first_token(0.95) < strict.first_token(0.95)
    assert bounded.first_token(0.95) < none.first_token(0.95)


def test_one_owner_alone_keeps_its_caches_when_all_slots_are_busy() -> None:
    """Without API keys all turns are one owner's: fairness between owners must not scatter them."""
    users = Users(load=1.0, conversations_per_owner=10**9)
    assert simulate(replace(SMALL, users=users)).hits > 0.7


def test_others_do_not_wait_behind_an_owner_with_half_of_the_load() -> None:
    figures = simulate(replace(SMALL, users=Users(load=1.1, heavy_share=0.5)))
    heavy = figures.waited_by(0.5, lambda owner: owner == 0)
    assert figures.waited_by(0.5, lambda owner: owner != 0) < heavy / 2


@pytest.mark.parametrize(
    "change", [Deaths(at_s=30, share=0.2), Rollout(at_s=30, share=0.1), Growth(at_s=30, share=0.2)]
)
def test_turns_are_served_whatever_happens_to_workers(change: Deaths | Rollout | Growth) -> None:
    figures = simulate(replace(small(load=0.6), change=change, measured_s=120))
    assert figures.of_offered > 0.95
    assert figures.queue[-1][1] < 20, "nothing is left behind"
    after = figures.over_time(20)[-1]
    assert after.hits > 0.6
    assert after.first_token_s < 5


def test_a_crowd_evaluates_its_persona_once_on_each_worker() -> None:
    crowd = Crowd(begins_s=25, lasts_s=40, share=0.8, persona_tokens=1500)
    figures = simulate(replace(SMALL, users=Users(load=0.4, crowd=crowd)))
    rows = zip(figures.owners, figures.reusable, figures.cached, strict=True)
    firsts = [cached for owner, reusable, cached in rows if owner < 0 and reusable == 1500]
    assert len(firsts) > 30
    assert firsts.count(0) <= SMALL.cluster.workers
    assert set(firsts) == {0, 1500}


@given(st.floats(0, 100), st.floats(0.01, 1000))
def test_axes_have_a_readable_number_of_steps(lowest: float, span: float) -> None:
    values = steps(lowest, lowest + span)
    assert 2 <= len(values) <= 12
    assert values == sorted(set(values))


CHART = Chart(
    title="Share & hits",
    across="load",
    lines=[
        Line(name="<ours>", points=[(0.3, 1.0), (1.05, 30.0)]),
        Line(name="theirs", points=[(0.3, 1.0), (1.05, 29.0)]),
    ],
    highest=10.0,
)


def test_a_chart_is_well_formed_and_stays_within_its_frame() -> None:
    root = ElementTree.fromstring(svg(CHART))
    names = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Share & hits", "<ours>", "theirs", "load"} <= set(names)
    for line in root.iter("{http://www.w3.org/2000/svg}polyline"):
        points = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
        assert all(64 <= x <= 700 and 48 <= y <= 312 for x, y in points)


def test_the_page_names_its_assumptions_and_finds_its_charts(tmp_path: Path) -> None:
    section = Section(
        title="Load",
        question="How?",
        columns=("load", "hits"),
        rows=[["0.3", "97 %"]],
        charts={"hits": CHART},
    )
    write_page(tmp_path, SMALL, [section])
    written = (tmp_path / "simulation.md").read_text()
    assert "10 workers with 8 slots" in written
    assert "| 0.3 | 97 % |" in written
    assert "](hits.svg)" in written
    assert (tmp_path / "hits.svg").read_text() == svg(CHART)


def test_every_section_can_be_simulated() -> None:
    tiny = replace(SMALL, cluster=replace(SMALL.cluster, workers=2), warm_up_s=2, measured_s=4)
    assert {"load", "owner"} <= set(SECTIONS)
    for name in ("owner", "crowd"):
        assert "| --- |" in page(tiny, [SECTIONS[name](tiny)])
