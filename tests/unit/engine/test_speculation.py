"""How many tokens are drafted: as many as pay, and text in which none pay gets no slower."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.engine.acceptance import Acceptance
from worker.engine.speculation import EARNED, MOST_EARNED, Speculation

STEP_S = 0.01
LIKELY, UNLIKELY = 0.95, 0.4


class Learning(Speculation):
    """Learns how often drafts are right from those that were used, as if nothing else told it."""

    def __init__(self, chance: float = LIKELY) -> None:
        super().__init__()
        self.acceptance = Acceptance({None: chance})

    def chances(self, num_replies: int) -> list[list[float]]:
        return [self.acceptance.chances([None] * 16)] * num_replies

    def learn(self, accepted: int, size: int) -> None:
        for place in range(min(accepted + 1, size)):
            self.acceptance.learn(None, was_right=place < accepted)


def slowdown(
    speculation: Learning,
    accept: Callable[[int], int],
    *,
    cost: float,
    first: float = 0.0,
    tokens: int = 2000,
    replies: int = 1,
) -> float:
    """Time for so many tokens of each reply, beside that of plain steps.

    Args:
        accept: how many of so many drafts are right.
        cost: what a draft for each reply adds to a step.
        first: what the first one adds besides.
    """
    written, spent = 0, 0.0
    while written < tokens:
        size = speculation.size(speculation.chances(replies), 16)
        if size:
            accepted, seconds = accept(size), STEP_S * (1 + first + size * cost)
            speculation.record_drafts(size, [accepted] * replies, seconds)
            speculation.learn(accepted, size)
        else:
            accepted, seconds = 0, STEP_S
            speculation.record_plain(replies, seconds)
        written += 1 + accepted
        spent += seconds / STEP_S
    return spent / written


@pytest.mark.parametrize("cost", [0.0, 0.02, 0.3, 1.0])
@pytest.mark.parametrize("chance", [LIKELY, UNLIKELY])
def test_drafts_that_are_never_right_cost_next_to_nothing(cost: float, chance: float) -> None:
    slower = slowdown(Learning(chance), lambda size: 0, cost=cost)
    # The first step of an unknown cost may be more expensive than any other.
    assert slower <= 1 + EARNED + (MOST_EARNED + 4 * cost) / 2000


@given(
    st.integers(0, 2**32),
    st.floats(0, 0.99),
    st.floats(0.01, 1.0),
    st.floats(0, 2.0),
    st.integers(1, 2),
    st.floats(0, 1),
)
def test_no_text_gets_slower_by_more_than_was_earned(
    seed: int, right: float, cost: float, first: float, replies: int, chance: float
) -> None:
    dice = random.Random(seed)

    def accept(size: int) -> int:
        return next((n for n in range(size) if dice.random() > right), size)

    slower = slowdown(Learning(chance), accept, cost=cost, first=first, replies=replies)
    assert slower <= 1 + EARNED + (MOST_EARNED + 4) / 2000


def test_the_credit_is_not_overdrawn() -> None:
    tokens = 50
    slower = slowdown(Learning(), lambda size: 0, cost=0.3, tokens=tokens)
    assert (slower - 1) * tokens <= MOST_EARNED + EARNED * tokens


@pytest.mark.parametrize("replies", [1, 2])
@pytest.mark.parametrize(("cost", "faster"), [(0.02, 5.0), (0.15, 2.5), (0.3, 1.8)])
def test_drafts_that_are_nearly_always_right_make_text_faster(
    cost: float, faster: float, replies: int
) -> None:
    chance = random.Random(1)

    def accept(size: int) -> int:
        return next((n for n in range(size) if chance.random() > 0.95), size)

    assert slowdown(Learning(), accept, cost=cost, replies=replies) < 1 / faster


@pytest.mark.parametrize("replies", [1, 2])
@pytest.mark.parametrize(("first", "cost", "faster"), [(0.8, 0.02, 3.5), (1.5, 0.05, 2.5)])
def test_steps_that_cost_much_as_soon_as_there_is_a_draft_get_many(
    first: float, cost: float, faster: float, replies: int
) -> None:
    """As on CPUs."""
    chance = random.Random(1)

    def accept(size: int) -> int:
        return next((n for n in range(size) if chance.random() > 0.97), size)

    slower = slowdown(Learning(), accept, first=first, cost=cost, replies=replies)
    assert slower < 1 / faster


@pytest.mark.parametrize("same", [40, 50, 60])
def test_words_that_differ_now_and_then_do_not_stop_drafts(same: int) -> None:
    """Two wrong drafts in a row, and then again some tokens that are as they were."""
    left = same

    def accept(size: int) -> int:
        nonlocal left
        accepted = max(0, min(size, left))
        left -= max(1, accepted)
        left = same if left < -1 else left
        return accepted

    assert slowdown(Learning(), accept, cost=0.35) < 1 / 1.4


def test_text_that_begins_to_repeat_itself_is_noticed() -> None:
    speculation = Learning(UNLIKELY)
    slowdown(speculation, lambda size: 0, cost=0.15)
    assert slowdown(speculation, lambda size: size, cost=0.15) < 1 / 2


@pytest.mark.parametrize("chance", [LIKELY, UNLIKELY])
def test_steps_in_which_the_machine_was_busy_are_forgotten(chance: float) -> None:
    speculation = Learning(chance)
    slowdown(speculation, lambda size: size, cost=100.0)
    assert slowdown(speculation, lambda size: size, cost=0.15) < 1 / 1.5


def test_likely_drafts_are_used_where_others_do_not_pay() -> None:
    speculation = Learning()
    slowdown(speculation, lambda size: 0, cost=0.3)
    assert speculation.size([[0.2]], 16) == 0
    assert speculation.size([[0.9]], 16) == 1
    assert speculation.size([[0.9, 0.9, 0.9, 0.2]], 16) == 3


def test_a_reply_without_drafts_halves_what_they_give() -> None:
    speculation = Learning()
    slowdown(speculation, lambda size: 0, cost=0.2, replies=2)
    assert speculation.size([[0.9], []], 16) == 1
    assert speculation.size([[0.3], []], 16) == 0
    assert speculation.size([[0.3], [0.3]], 16) == 1


def test_what_does_not_pay_is_tried_again_now_and_then() -> None:
    speculation = Learning()
    slowdown(speculation, lambda size: 0, cost=1.0)
    speculation.credit = 10.0
    sizes = [_step(speculation, [[0.1] * 16]) for _ in range(400)]
    assert 3 <= sum(size > 0 for size in sizes) <= 7


def test_what_a_plain_step_takes_is_looked_at_now_and_then() -> None:
    speculation = Learning()
    speculation.record_plain(1, STEP_S)
    sizes = []
    for _ in range(200):
        sizes.append(speculation.size([[0.95] * 16], 16))
        if sizes[-1]:
            speculation.record_drafts(sizes[-1], [sizes[-1]], 1.5 * STEP_S)
        else:
            speculation.record_plain(1, STEP_S)
    assert sizes.count(0) == 6


def test_drafts_are_not_free_because_plain_steps_were_longer() -> None:
    """After a long conversation, or when the machine was busy."""
    speculation = Speculation()
    for _ in range(20):
        speculation.record_plain(1, 3 * STEP_S)
    sizes = []
    for _ in range(300):
        sizes.append(speculation.size([[0.4]], 1))
        if sizes[-1]:
            speculation.record_drafts(1, [0], 1.7 * STEP_S)
        else:
            speculation.record_plain(1, STEP_S)
    assert sum(sizes[100:]) < 10


def _step(speculation: Speculation, chances: list[list[float]]) -> int:
    """A step in which no draft is right."""
    if size := speculation.size(chances, 16):
        speculation.record_drafts(size, [0], STEP_S * (1 + size))
    else:
        speculation.record_plain(1, STEP_S)
    return size


def test_nothing_is_drafted_before_the_length_of_a_step_is_known() -> None:
    speculation = Speculation()
    assert speculation.size([[0.9]], 16) == 0
    speculation.record_plain(1, STEP_S)
    assert speculation.size([[0.9]], 16) > 0
    assert speculation.size([[0.9], [0.9]], 16) == 0


def test_never_more_than_allowed() -> None:
    speculation = Speculation()
    speculation.record_plain(1, STEP_S)
    assert [speculation.size([[0.9] * 16], most) for most in range(4)] == [0, 1, 1, 3]
