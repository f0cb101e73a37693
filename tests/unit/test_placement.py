"""What the queue's policy promises, whatever is offered to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.placement import (
    BELL_MS,
    MIN_SAVING_MS,
    OVERTAKE_MS,
    SLACK,
    WAIT_FACTOR,
    Bell,
    Candidate,
    Choice,
    Home,
    Offer,
    choose,
    next_tag,
    offer,
    saving_ms,
)

POOL = "small"
NUMBERS = st.integers(min_value=0, max_value=10**9)
CANDIDATES = st.builds(Candidate, tag=NUMBERS, readied_ms=NUMBERS)
NEAR = st.builds(
    Candidate,
    tag=st.integers(0, 3 * SLACK),
    readied_ms=st.integers(0, 3 * OVERTAKE_MS),
)
HOMES = st.builds(
    Home,
    pool=st.sampled_from([POOL, "large"]),
    tokens_a_second=st.integers(0, 10_000),
    has_free_slot=st.booleans(),
    is_draining=st.booleans(),
)


def home(*, rate: int = 1000, free: bool = False, draining: bool = False, pool: str = POOL) -> Home:
    return Home(pool=pool, tokens_a_second=rate, has_free_slot=free, is_draining=draining)


def test_a_free_home_is_woken_and_nobody_else() -> None:
    assert offer(pool=POOL, warm=500, home=home(free=True)) == Offer(
        at_home=True, hold_ms=BELL_MS, bell=Bell.HOME
    )


def test_a_busy_home_is_waited_for_twice_what_it_saves() -> None:
    assert offer(pool=POOL, warm=500, home=home()) == Offer(
        at_home=True, hold_ms=1000, bell=Bell.NOBODY
    )


@pytest.mark.parametrize(
    "where",
    [None, home(free=True, draining=True), home(free=True, pool="large"), home(free=True, rate=0)],
)
def test_a_home_that_cannot_help_is_forgotten(where: Home | None) -> None:
    assert offer(pool=POOL, warm=500, home=where) == Offer(at_home=False, hold_ms=0, bell=Bell.FREE)


@pytest.mark.parametrize(("warm", "at_home"), [(19, False), (20, True)])
def test_a_home_that_saves_next_to_nothing_is_forgotten(warm: int, at_home: bool) -> None:
    assert offer(pool=POOL, warm=warm, home=home(rate=1000)).at_home is at_home


def test_without_waiting_a_busy_home_competes_with_the_free() -> None:
    assert offer(pool=POOL, warm=500, home=home(), longest_wait_ms=0) == Offer(
        at_home=True, hold_ms=0, bell=Bell.FREE
    )


@given(warm=NUMBERS, where=st.none() | HOMES, longest=st.integers(BELL_MS, 60_000))
def test_no_wait_is_longer_than_what_was_allowed_or_pays(
    warm: int, where: Home | None, longest: int
) -> None:
    answer = offer(pool=POOL, warm=warm, home=where, longest_wait_ms=longest)
    assert answer.hold_ms <= longest
    if answer.hold_ms:
        assert where is not None
        saving = saving_ms(warm=warm, tokens_a_second=where.tokens_a_second)
        assert saving >= MIN_SAVING_MS
        assert answer.hold_ms == BELL_MS or answer.hold_ms <= WAIT_FACTOR * saving
    assert answer.at_home or answer.hold_ms == 0
    assert (answer.bell is Bell.FREE) == (answer.hold_ms == 0), "who may start it is woken"


@given(
    own=st.none() | NEAR,
    ready=st.none() | NEAR,
    held=st.none() | NEAR,
)
def test_no_start_passes_a_turn_of_the_line_by_more_than_the_slack(
    own: Candidate | None, ready: Candidate | None, held: Candidate | None
) -> None:
    choice = choose(own=own, ready=ready, held=held, others_are_free=False)
    chosen = {Choice.OWN: own, Choice.READY: ready, Choice.HELD: held}.get(choice)
    if chosen is None:
        assert own is None
        assert ready is None
        return
    passed = [turn.tag for turn in (ready, held) if turn is not None]
    assert all(chosen.tag <= tag + SLACK for tag in passed)


@given(own=NEAR, ready=NEAR, others=st.booleans())
def test_nobody_is_overtaken_by_who_came_much_later(
    own: Candidate, ready: Candidate, others: bool
) -> None:
    if own.readied_ms > ready.readied_ms + OVERTAKE_MS:
        assert choose(own=own, ready=ready, held=None, others_are_free=others) is Choice.READY


@given(own=CANDIDATES, held=CANDIDATES)
def test_a_held_turn_loses_nothing_while_others_are_free(own: Candidate, held: Candidate) -> None:
    assert choose(own=own, ready=None, held=held, others_are_free=True) is Choice.OWN


@given(own=st.none() | CANDIDATES, ready=st.none() | CANDIDATES, others=st.booleans())
def test_a_worker_idles_only_where_nothing_may_start(
    own: Candidate | None, ready: Candidate | None, others: bool
) -> None:
    choice = choose(own=own, ready=ready, held=None, others_are_free=others)
    assert (choice is Choice.NOTHING) == (own is None and ready is None)


@given(clock=NUMBERS, last=NUMBERS)
def test_an_owner_gains_nothing_by_idling_and_nothing_by_asking_often(
    clock: int, last: int
) -> None:
    tag = next_tag(clock=clock, last=last)
    assert tag > clock
    assert tag > last
