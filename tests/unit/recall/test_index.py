"""Which passages a prompt speaks of."""

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.recall.conversations import turns
from worker.recall.index import PassageIndex
from worker.recall.passages import passages_of

FILLER = [
    text
    for subject in ("rain", "trains", "bread", "chess", "films", "tax", "paint", "clouds")
    for text in (f"What do you think of the {subject} today?", f"The {subject} is what it is.")
]


def index_of(*contents: str) -> PassageIndex:
    return PassageIndex.of(passages_of(turns(*contents)))


def numbers(index: PassageIndex, prompt: str) -> list[int]:
    return [passage.number for passage in index.ranked(prompt)]


def test_what_a_prompt_speaks_of_is_found_and_nothing_else() -> None:
    index = index_of(*FILLER, "My dog is called Rex.", "A fine name.", *FILLER)
    assert numbers(index, "How is my dog called?") == [17]


def test_a_prompt_that_speaks_of_nothing_finds_nothing() -> None:
    index = index_of("My dog is called Rex.", "A fine name.", *FILLER)
    assert numbers(index, "Paris!") == []
    assert numbers(index, "?") == []
    assert numbers(index_of(), "dog") == []
    assert numbers(index_of("!", "?"), "dog") == []


def test_words_of_many_turns_find_none_of_them() -> None:
    index = index_of(*FILLER, "My dog is called Rex.", "A fine name.")
    assert numbers(index, "What do you think of it today?") == []


def test_of_two_that_say_the_same_the_later_one_comes_first() -> None:
    index = index_of("My dog is called Rex.", "Fine.", *FILLER, "My dog is called Max.", "Fine.")
    assert numbers(index, "How is the dog called?") == [19, 1]


def test_what_was_said_twice_is_shown_once_where_it_was_said_last() -> None:
    index = index_of("My dog is called Rex.", "Fine.", *FILLER, "My dog is called Rex.", "Fine.")
    assert numbers(index, "How is the dog called?") == [19]


def test_where_no_spaces_part_words() -> None:
    filler = ["今天天气怎么样？", "很好。", "你喜欢什么电影？", "都可以。"] * 4
    assert numbers(index_of(*filler, "我的狗叫小白。", "好名字。"), "我的狗叫什么名字？") == [17]


contents = st.lists(st.sampled_from(FILLER), min_size=2, max_size=16).map(
    lambda texts: texts[: len(texts) // 2 * 2]
)


@given(contents, contents, st.integers(1, 12), st.sampled_from(FILLER))
def test_an_extended_index_ranks_like_a_new_one(
    old: list[str], new: list[str], gone: int, prompt: str
) -> None:
    """However a worker came by it: another one quotes the same."""
    first = min(2 * gone - 1, len(old) + 1)
    whole = turns(*old, *new)
    extended = PassageIndex.of(passages_of(whole[: len(old)])).extended(
        passages_of(whole[len(old) :]), first
    )
    remade = PassageIndex.of(passages_of(whole[first - 1 :]))
    assert extended.begins_behind(first)
    assert extended.ranked(prompt) == remade.ranked(prompt)
