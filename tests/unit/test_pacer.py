"""Prefill chunks: small at first, growing while steps stay short, halved when they do not."""

from hypothesis import given
from hypothesis import strategies as st

from worker.engine.pacer import PrefillPacer


def test_chunks_begin_small() -> None:
    assert PrefillPacer(512, 2.5).size == 32


def test_chunks_are_never_larger_than_a_batch() -> None:
    assert PrefillPacer(8, 2.5).size == 8


def test_short_steps_double_the_chunks_up_to_the_largest() -> None:
    pacer = PrefillPacer(100, 2.5)
    sizes = []
    for _ in range(4):
        pacer.record(pacer.size, 0.1)
        sizes.append(pacer.size)
    assert sizes == [64, 100, 100, 100]


def test_a_step_that_was_too_long_halves_the_chunks() -> None:
    pacer = PrefillPacer(512, 2.5)
    pacer.record(32, 2.6)
    assert pacer.size == 16


def test_a_step_of_middling_length_changes_nothing() -> None:
    pacer = PrefillPacer(512, 2.5)
    for seconds in (0.625, 1.0, 2.5):
        pacer.record(32, seconds)
    assert pacer.size == 32


def test_a_part_of_a_chunk_tells_nothing_about_larger_ones() -> None:
    pacer = PrefillPacer(512, 2.5)
    pacer.record(31, 0.001)
    assert pacer.size == 32


def test_the_smallest_chunk_is_one_token() -> None:
    pacer = PrefillPacer(512, 2.5)
    for _ in range(10):
        pacer.record(pacer.size, 100.0)
    assert pacer.size == 1


@given(
    st.integers(1, 4096), st.lists(st.tuples(st.integers(1, 4096), st.floats(0, 100)), max_size=50)
)
def test_chunks_stay_between_one_and_the_largest(
    largest: int, steps: list[tuple[int, float]]
) -> None:
    pacer = PrefillPacer(largest, 2.5)
    for num_tokens, seconds in steps:
        pacer.record(num_tokens, seconds)
        assert 1 <= pacer.size <= largest


@given(st.floats(0.00001, 0.5), st.integers(32, 2048))
def test_on_a_steady_machine_steps_stay_short(seconds_per_token: float, largest: int) -> None:
    pacer = PrefillPacer(largest, longest_step_s=2.5)
    for _ in range(20):
        pacer.record(pacer.size, pacer.size * seconds_per_token)
    assert pacer.size * seconds_per_token <= 2.5
