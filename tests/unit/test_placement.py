"""What the queue's policy promises, whatever is offered to it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.placement import (
    BELL_MS,
    LEAD,
    MIN_SAVING_MS,
    OVERTAKE_MS,
    SLACK,
    WAIT_FACTOR,
    Bell,
    Candidate,
    Choice,
    Home,
    Limits,
    Offer,
    choose,
    next_tag,
    offer,
    saving_ms,
    virtual_time,
)

POOL = "small"
NUMBERS = st.integers(min_value=0, max_value=10**9)
CANDIDATES = st.builds(Candidate, served=NUMBERS, readied_ms=NUMBERS)
NEAR = st.builds(
    Candidate,
    served=st.integers(0, 3 * SLACK),
    readied_ms=st.integers(0, 3 * OVERTAKE_MS),
)
HOMES = st.builds(
    Home,
    pool=st.sampled_from([POOL, "large"]),
    tokens_a_second=st.integers(0, 10_000),
    has_free_slot=st.booleans(),
    is_draining=st.booleans(),
    is_silent=st.booleans(),
)


def home(*, rate: int = 1000, free: bool = False, draining: bool = False, pool: str = POOL) -> Home:
    return Home(pool=pool, tokens_a_second=rate, has_free_slot=free, is_draining=draining)


def test_a_free_home_is_woken_and_nobody_else() -> None:
    assert offer(pool=POOL, warm=500, home=home(free=True)) == Offer(
        at_home=True, hold_ms=BELL_MS, bell=Bell.HOME
    )


def test_a_busy_home_is_waited_for_a_few_times_what_it_saves() -> None:
    assert offer(pool=POOL, warm=500, home=home()) == Offer(
        at_home=True, hold_ms=WAIT_FACTOR * 500, bell=Bell.NOBODY
    )


@pytest.mark.parametrize(
    "where",
    [
        None,
        home(free=True, draining=True),
        replace(home(free=True), is_silent=True),
        home(free=True, pool="large"),
        home(free=True, rate=0),
    ],
)
def test_a_home_that_cannot_help_is_forgotten(where: Home | None) -> None:
    assert offer(pool=POOL, warm=500, home=where) == Offer(at_home=False, hold_ms=0, bell=Bell.FREE)


@pytest.mark.parametrize(("warm", "at_home"), [(19, False), (20, True)])
def test_a_home_that_saves_next_to_nothing_is_forgotten(warm: int, at_home: bool) -> None:
    assert offer(pool=POOL, warm=warm, home=home(rate=1000)).at_home is at_home


def test_without_waiting_a_busy_home_competes_with_the_free() -> None:
    assert offer(pool=POOL, warm=500, home=home(), limits=Limits(longest_wait_ms=0)) == Offer(
        at_home=True, hold_ms=0, bell=Bell.FREE
    )


@given(warm=NUMBERS, where=st.none() | HOMES, longest=st.integers(BELL_MS, 60_000))
def test_no_wait_is_longer_than_what_was_allowed_or_pays(
    warm: int, where: Home | None, longest: int
) -> None:
    answer = offer(pool=POOL, warm=warm, home=where, limits=Limits(longest_wait_ms=longest))
    assert answer.hold_ms <= longest
    if answer.hold_ms:
        assert where is not None
        saving = saving_ms(warm=warm, tokens_a_second=where.tokens_a_second)
        assert saving >= MIN_SAVING_MS
        assert answer.hold_ms == BELL_MS or answer.hold_ms <= WAIT_FACTOR * saving
    assert answer.at_home or answer.hold_ms == 0
    assert (answer.bell is Bell.FREE) == (answer.hold_ms == 0), "who may start it is woken"


@given(own=NEAR, ready=NEAR)
def test_no_owner_gets_ahead_of_the_next_by_more_than_the_slack(
    own: Candidate, ready: Candidate
) -> None:
    if own.served > ready.served + SLACK:
        assert choose(own=own, ready=ready) is Choice.READY


@given(own=NEAR, ready=NEAR)
def test_nothing_is_overtaken_by_a_turn_that_came_much_later(
    own: Candidate, ready: Candidate
) -> None:
    if own.readied_ms > ready.readied_ms + OVERTAKE_MS:
        assert choose(own=own, ready=ready) is Choice.READY


@pytest.mark.parametrize(
    ("late_ms", "ahead", "choice"),
    [
        (OVERTAKE_MS, SLACK, Choice.OWN),
        (OVERTAKE_MS + 1, SLACK, Choice.READY),
        (OVERTAKE_MS, SLACK + 1, Choice.READY),
    ],
)
def test_both_bounds_are_included(late_ms: int, ahead: int, choice: Choice) -> None:
    own = Candidate(served=ahead, readied_ms=late_ms)
    ready = Candidate(served=0, readied_ms=0)
    assert choose(own=own, ready=ready) is choice


@given(own=st.none() | CANDIDATES, ready=st.none() | CANDIDATES)
def test_a_worker_idles_only_where_nothing_may_start(
    own: Candidate | None, ready: Candidate | None
) -> None:
    choice = choose(own=own, ready=ready)
    assert (choice is Choice.NOTHING) == (own is None and ready is None)


@given(clock=NUMBERS, last=NUMBERS)
def test_an_owner_that_comes_back_keeps_what_others_may_get_ahead_of_it_and_no_more(
    clock: int, last: int
) -> None:
    assert virtual_time(clock=clock, last=None) == clock
    assert virtual_time(clock=clock, last=last) >= last
    assert virtual_time(clock=clock, last=last) >= clock - LEAD
    assert next_tag(clock=clock, last=last) == virtual_time(clock=clock, last=last) + 1


@given(
    warm=st.lists(st.booleans(), min_size=200, max_size=200),
    readied=st.lists(st.integers(0, 3 * OVERTAKE_MS), min_size=200, max_size=200),
)
def test_two_owners_that_always_wait_are_served_alike(warm: list[bool], readied: list[int]) -> None:
    """Whatever is warm where: the worker's own turn is the first owner's or the second's."""
    served = [0, 0]
    for is_first, moment in zip(warm, readied, strict=True):
        mine = 0 if is_first else 1
        next_owner = 0 if served[0] <= served[1] else 1
        own = Candidate(served=served[mine], readied_ms=moment)
        ready = Candidate(served=served[next_owner], readied_ms=0)
        starts = {Choice.OWN: mine, Choice.READY: next_owner}[choose(own=own, ready=ready)]
        served[starts] += 1
        assert abs(served[0] - served[1]) <= SLACK + 1
