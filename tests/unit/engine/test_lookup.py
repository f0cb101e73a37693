"""Looking n-grams up: what is drafted is what followed last time."""

from hypothesis import given
from hypothesis import strategies as st

from worker.engine.lookup import MATCHES, Lookup

TOKENS = st.lists(st.sampled_from([0, 1, 2, 55_296, 262_143]), min_size=1, max_size=60)


def last_match(token_ids: list[int]) -> tuple[int, int] | None:
    """The longest n-gram that ends the tokens and appeared before, and where it last ended."""
    for matched in MATCHES:
        for end in range(len(token_ids) - 1, matched - 1, -1):
            if token_ids[end - matched : end] == token_ids[-matched:]:
                return matched, end
    return None


@given(TOKENS, st.integers(1, 20))
def test_a_draft_is_what_followed_the_longest_match_last_time(
    token_ids: list[int], size: int
) -> None:
    draft, expected = Lookup().find(token_ids, size), last_match(token_ids)
    if expected is None:
        assert draft is None
        return
    matched, end = expected
    continued = list(token_ids)
    for at in range(size):
        continued.append(continued[end + at])
    assert draft is not None
    assert draft.matched == matched
    assert list(draft.token_ids) == continued[len(token_ids) :]


@given(TOKENS, TOKENS)
def test_a_reply_that_grows_is_looked_up_like_a_new_one(first: list[int], more: list[int]) -> None:
    lookup = Lookup()
    lookup.find(first, 5)
    assert lookup.find(first + more, 5) == Lookup().find(first + more, 5)


def test_what_repeats_itself_is_drafted_on() -> None:
    draft = Lookup().find([7, 8, 7, 8, 7, 8, 7], 5)
    assert draft is not None
    assert draft.token_ids == (8, 7, 8, 7, 8)
