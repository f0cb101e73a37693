"""Prefill chunks: small at first, then as large as the time allows."""

from hypothesis import given
from hypothesis import strategies as st

from worker.engine.pacer import ALONE_S, BETWEEN_TOKENS_S, PrefillPacer


def test_chunks_begin_small() -> None:
    assert PrefillPacer(512, 2.5).size(alongside_decodes=False) == 32


def test_chunks_are_never_larger_than_a_batch() -> None:
    assert PrefillPacer(8, 2.5).size(alongside_decodes=False) == 8


def evaluate(pacer: PrefillPacer, tokens_per_s: float, chunks: int) -> list[int]:
    """Let a pacer learn a machine's speed; returns the chunks' sizes."""
    sizes = []
    for _ in range(chunks):
        size = pacer.size(alongside_decodes=False)
        pacer.record(size, size / tokens_per_s)
        sizes.append(size)
    return sizes


def test_chunks_at_most_double_up_to_the_largest() -> None:
    assert evaluate(PrefillPacer(200, 2.5), 1e6, 5) == [32, 64, 128, 200, 200]


def test_chunks_take_as_long_as_they_may() -> None:
    pacer = PrefillPacer(512, 2.5)
    evaluate(pacer, 1000, 20)
    assert pacer.size(alongside_decodes=False) == int(1000 * ALONE_S)
    assert pacer.size(alongside_decodes=True) == int(1000 * BETWEEN_TOKENS_S)


def test_beside_replies_a_chunk_gets_what_their_own_step_leaves() -> None:
    pacer = PrefillPacer(512, 2.5)
    evaluate(pacer, 1000, 20)
    for _ in range(40):
        pacer.record_decodes(0.08)
    assert abs(pacer.size(alongside_decodes=True) - 1000 * (BETWEEN_TOKENS_S - 0.08)) <= 1
    for _ in range(40):
        pacer.record_decodes(1.0)
    assert pacer.size(alongside_decodes=True) == 50, "a little, however slow they are"


def test_a_step_that_was_too_long_halves_the_chunks() -> None:
    pacer = PrefillPacer(512, 2.5)
    pacer.record(32, 2.6)
    assert pacer.size(alongside_decodes=False) == 16


def test_a_short_chunk_tells_nothing_of_the_speed() -> None:
    pacer = PrefillPacer(512, 2.5)
    evaluate(pacer, 1000, 20)
    before = pacer.size(alongside_decodes=False)
    pacer.record(3, 0.2)
    assert pacer.size(alongside_decodes=False) == before


def test_a_machine_that_was_slow_for_a_while_is_found_to_be_fast_again() -> None:
    pacer = PrefillPacer(512, 2.5)
    evaluate(pacer, 1000, 20)
    evaluate(pacer, 20, 20)
    assert evaluate(pacer, 1000, 40)[-1] >= 1000 * ALONE_S - 1


def test_without_room_chunks_are_halved_down_to_one_token() -> None:
    pacer = PrefillPacer(512, 2.5)
    halved = 0
    while pacer.shrink():
        halved += 1
    assert halved == 5
    assert pacer.size(alongside_decodes=True) == 1


@given(
    st.integers(1, 2000),
    st.floats(0.01, 10),
    st.lists(st.floats(0.1, 1e5), max_size=50),
)
def test_chunks_stay_within_their_limits(
    largest: int, longest_step_s: float, speeds: list[float]
) -> None:
    pacer = PrefillPacer(largest, longest_step_s)
    for speed in speeds:
        evaluate(pacer, speed, 1)
        beside, alone = pacer.size(alongside_decodes=True), pacer.size(alongside_decodes=False)
        assert 1 <= beside <= alone <= largest
