"""Looking n-grams up: what is drafted is what followed last time."""

from hypothesis import given
from hypothesis import strategies as st

from worker.engine.lookup import MATCHES, Agreement, Evidence, Lookup

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
    assert draft.evidence[0].matched == matched
    assert len(draft.evidence) == len(draft.token_ids) == size
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


def evidence_of(token_ids: list[int]) -> Evidence:
    draft = Lookup().find(token_ids, 1)
    assert draft is not None
    return draft.evidence[0]


def test_places_that_agree_are_told_from_those_that_do_not() -> None:
    assert evidence_of([7, 8, 7]) == (1, Agreement.ALONE)
    assert evidence_of([7, 8, 7, 8, 7]) == (3, Agreement.ALONE)
    assert evidence_of([7, 8, 1, 7, 8, 2, 7]) == (1, Agreement.AGREED)
    assert evidence_of([7, 9, 1, 7, 8, 2, 7]) == (1, Agreement.DISPUTED)


def test_a_place_that_disagreed_is_asked_no_further() -> None:
    draft = Lookup().find([7, 1, 2, 3, 9, 7, 1, 4, 5, 8, 7], 4)
    assert draft is not None
    assert draft.token_ids == (1, 4, 5, 8)
    assert [evidence.agreement for evidence in draft.evidence] == [
        Agreement.AGREED,
        Agreement.DISPUTED,
        Agreement.ALONE,
        Agreement.ALONE,
    ]
    assert [evidence.matched for evidence in draft.evidence] == [1, 2, 3, 3]


def test_a_draft_is_judged_up_to_its_first_mistake() -> None:
    lookup = Lookup()
    prompt = [1, 2, 3, 4, 5, 1]
    draft = lookup.find(prompt, 4)
    assert draft is not None
    first, second, third, _ = draft.evidence
    assert list(lookup.outcomes(prompt)) == []
    assert list(lookup.outcomes([*prompt, 2])) == [(2, first, True)]
    written = [*prompt, 2, 3, 9, 5]
    judged = [(2, first, True), (3, second, True), (4, third, False)]
    assert list(lookup.outcomes(written)) == judged


def test_without_a_draft_there_is_nothing_to_judge() -> None:
    lookup = Lookup()
    assert lookup.find([1, 2, 3], 4) is None
    assert list(lookup.outcomes([1, 2, 3, 4])) == []
