"""Turns as passages that are short enough to be quoted."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.recall.conversations import turns
from worker.prompt.passage import Quote
from worker.recall.passages import passages_of


def test_a_short_turn_is_one_passage() -> None:
    said = turns("My dog is Rex.", "Nice!", "And my cat Tom.", "Good.", first=5)
    [first, second] = passages_of(said)
    assert first.quotes == (
        Quote(number=5, role="user", text="My dog is Rex."),
        Quote(number=6, role="assistant", text="Nice!"),
    )
    assert (first.number, second.number, second.part) == (5, 7, 0)


def test_a_long_message_is_cut_between_sentences_and_says_so() -> None:
    sentence = "This is one of many sentences that stand here. "
    passages = passages_of(turns("Tell me.", sentence * 30))
    texts = [quote.text for passage in passages for quote in passage.quotes][1:]
    assert len(texts) > 1
    assert [passage.part for passage in passages] == list(range(len(passages)))
    assert not texts[0].startswith("…")
    assert all(text.startswith("… This") for text in texts[1:])
    assert all(text.endswith("here. …") for text in texts[:-1])
    assert texts[-1].endswith("here.")


@given(st.lists(st.text(max_size=3_000), min_size=2, max_size=4))
def test_nothing_is_lost_and_no_passage_is_long(contents: list[str]) -> None:
    passages = passages_of(turns(*contents))
    texts = [quote.text for passage in passages for quote in passage.quotes]
    assert "".join("".join(texts).replace("…", "").split()) == "".join(
        "".join(contents).replace("…", "").split()
    )
    assert all(len(passage.text.encode()) <= 1_300 for passage in passages)


def test_results_of_tools_and_thoughts_are_not_quoted() -> None:
    prompt, reply = turns("What time is it?", "Noon.")
    result = replace(prompt, number=2, role="tool", content="12:00", call_id="a")
    thoughtful = replace(reply, number=3, reasoning="The clock says so.")
    [passage] = passages_of([prompt, result, thoughtful])
    assert [quote.text for quote in passage.quotes] == ["What time is it?", "Noon."]
