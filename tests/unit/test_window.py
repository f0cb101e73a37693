"""FIFO trimming: what is kept is a suffix, it always fits, and it changes seldom."""

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ContextLengthExceeded
from shared.wire.messages import Role, StoredMessage
from worker.prompt.window import Budget, split_turns, trim

budgets = st.builds(
    Budget,
    window=st.integers(64, 1000),
    max_tokens=st.integers(1, 10_000),
    trim_to=st.floats(0.01, 1),
)


@dataclass
class Sizes:
    """The prompt's size for every number of dropped turns; never grows with it."""

    sizes: list[int]
    asked: list[int] = field(default_factory=list)

    @property
    def num_turns(self) -> int:
        return len(self.sizes) - 1

    def __call__(self, dropped: int) -> int:
        self.asked.append(dropped)
        return self.sizes[dropped]


def additive(fixed: int, turns: list[int]) -> Sizes:
    """Instructions and new prompt of a fixed size, earlier turns one after another."""
    return Sizes([fixed + sum(turns[dropped:]) for dropped in range(len(turns) + 1)])


additive_sizes = st.builds(
    additive, st.integers(1, 800), st.lists(st.integers(1, 200), max_size=40)
)
monotone_sizes = st.lists(st.integers(1, 1500), min_size=1, max_size=40).map(
    lambda sizes: Sizes(sorted(sizes, reverse=True))
)
any_sizes = additive_sizes | monotone_sizes


def fits(measure: Sizes, budget: Budget) -> bool:
    """Whether instructions and new prompt alone leave room for the reply."""
    return measure.sizes[-1] <= budget.prompt_limit


@given(any_sizes, budgets)
def test_prompt_and_room_for_the_reply_never_exceed_the_window(
    measure: Sizes, budget: Budget
) -> None:
    if fits(measure, budget):
        size = measure.sizes[trim(measure.num_turns, measure, budget)]
        assert size + budget.reserve <= budget.window
        assert 1 <= budget.reserve <= budget.reply_limit(size)
        assert size + budget.reply_limit(size) <= budget.window


@given(any_sizes, budgets)
def test_it_is_refused_exactly_when_the_prompt_alone_does_not_fit(
    measure: Sizes, budget: Budget
) -> None:
    if fits(measure, budget):
        assert 0 <= trim(measure.num_turns, measure, budget) <= measure.num_turns
        return
    with pytest.raises(ContextLengthExceeded) as refusal:
        trim(measure.num_turns, measure, budget)
    assert refusal.value.prompt_tokens == measure.sizes[-1]
    assert refusal.value.budget == budget.window


@given(any_sizes, budgets)
def test_nothing_is_dropped_while_all_fits_and_something_otherwise(
    measure: Sizes, budget: Budget
) -> None:
    if fits(measure, budget):
        dropped = trim(measure.num_turns, measure, budget)
        assert (dropped == 0) == (measure.sizes[0] <= budget.prompt_limit)


@given(any_sizes, budgets)
def test_trimming_reaches_its_target_unless_all_is_dropped(measure: Sizes, budget: Budget) -> None:
    if fits(measure, budget):
        dropped = trim(measure.num_turns, measure, budget)
        if 0 < dropped < measure.num_turns:
            assert measure.sizes[dropped] <= budget.trim_target


@given(any_sizes, budgets)
def test_trimming_drops_no_turn_more_than_its_target_asks(measure: Sizes, budget: Budget) -> None:
    if fits(measure, budget):
        dropped = trim(measure.num_turns, measure, budget)
        if dropped > 1:
            assert measure.sizes[dropped - 1] > budget.trim_target


@given(any_sizes, budgets)
def test_few_sizes_are_measured_however_many_turns(measure: Sizes, budget: Budget) -> None:
    if fits(measure, budget):
        trim(measure.num_turns, measure, budget)
        assert len(set(measure.asked)) <= 3 + measure.num_turns.bit_length()
        assert all(0 <= dropped <= measure.num_turns for dropped in measure.asked)


@given(budgets)
def test_the_target_lies_within_the_limit_and_the_limit_within_the_window(budget: Budget) -> None:
    assert 0 <= budget.trim_target <= budget.prompt_limit < budget.window


def test_the_reserve_is_what_was_asked_but_at_most_a_quarter() -> None:
    assert Budget(window=400, max_tokens=50, trim_to=0.6).reserve == 50
    assert Budget(window=400, max_tokens=400, trim_to=0.6).reserve == 100
    assert Budget(window=400, max_tokens=400, trim_to=0.6).prompt_limit == 300
    assert Budget(window=400, max_tokens=50, trim_to=0.6).trim_target == 240
    assert Budget(window=400, max_tokens=400, trim_to=1.0).trim_target == 300


def test_a_prompt_of_exactly_the_limit_fits() -> None:
    budget = Budget(window=400, max_tokens=100, trim_to=0.6)
    assert trim(2, Sizes([300, 200, 100]), budget) == 0
    assert trim(2, Sizes([301, 200, 100]), budget) == 1


def test_a_target_that_is_reached_exactly_is_reached() -> None:
    budget = Budget(window=400, max_tokens=100, trim_to=0.6)
    assert trim(3, Sizes([400, 241, 240, 100]), budget) == 2


def test_a_prompt_between_target_and_limit_still_goes() -> None:
    measure = Sizes([500, 400, 290])
    assert trim(2, measure, Budget(window=400, max_tokens=100, trim_to=0.6)) == 2


def test_a_conversation_without_turns_is_judged_by_its_prompt_alone() -> None:
    budget = Budget(window=400, max_tokens=100, trim_to=0.6)
    assert trim(0, Sizes([300]), budget) == 0
    with pytest.raises(ContextLengthExceeded):
        trim(0, Sizes([301]), budget)


def grown(turns: list[int], budget: Budget, fixed: int) -> list[int]:
    """The window's offset, in turns, at each turn of a conversation that grows by these sizes."""
    offsets, offset = [], 0
    for count in range(len(turns)):
        measure = additive(fixed, turns[offset:count])
        offset += trim(measure.num_turns, measure, budget)
        offsets.append(offset)
    return offsets


def test_a_growing_conversation_is_trimmed_in_steps_not_at_each_turn() -> None:
    offsets = grown([30] * 200, Budget(window=400, max_tokens=100, trim_to=0.6), fixed=40)
    steps = [later - earlier for earlier, later in itertools.pairwise(offsets)]
    trimmings = [step for step in steps if step]
    assert len(trimmings) > 10
    # From 300 tokens down to 240: at least two turns of 30 go at once, then two come for free.
    assert min(trimmings) >= 2
    assert all(not (a and b) for a, b in itertools.pairwise(steps))


def test_a_deep_trim_keeps_the_prefix_for_many_turns() -> None:
    offsets = grown([10] * 300, Budget(window=400, max_tokens=100, trim_to=0.3), fixed=40)
    changes = sum(a != b for a, b in itertools.pairwise(offsets))
    assert changes <= 300 / 18


@given(st.lists(st.integers(1, 120), min_size=1, max_size=80), st.floats(0.2, 1))
def test_a_window_of_400_tokens_never_moves_back(turns: list[int], trim_to: float) -> None:
    offsets = grown(turns, Budget(window=400, max_tokens=100, trim_to=trim_to), fixed=40)
    assert all(earlier <= later for earlier, later in itertools.pairwise(offsets))
    assert all(offset <= count for count, offset in enumerate(offsets))


def message(number: int, role: Role) -> StoredMessage:
    return StoredMessage(
        number=number, role=role, content=f"text {number}", timestamp_ms=0, tokens=2, job_id="job"
    )


@given(st.lists(st.sampled_from(["user", "assistant"])))
def test_turns_hold_every_message_once_and_in_order(roles: list[Role]) -> None:
    messages = [message(number, role) for number, role in enumerate(roles, 1)]
    turns = split_turns(messages)
    assert list(itertools.chain.from_iterable(turns)) == messages
    assert all(turns)
    for turn in turns[1:]:
        assert [m.role for m in turn].index("user") == 0
    for turn in turns[:-1]:
        assert turn[-1].role == "assistant"


def test_a_turn_is_a_prompt_and_its_reply() -> None:
    one, two, three, four = (message(i, "user" if i % 2 else "assistant") for i in range(1, 5))
    assert split_turns([one, two, three, four]) == [(one, two), (three, four)]


def test_an_unanswered_prompt_belongs_to_the_next_turn() -> None:
    one, two, three = message(1, "user"), message(2, "user"), message(3, "assistant")
    assert split_turns([one, two, three]) == [(one, two, three)]
