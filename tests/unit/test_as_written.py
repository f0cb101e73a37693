"""A reply in a later prompt has the tokens that the model wrote, where it is shown like that."""

from hypothesis import given
from hypothesis import strategies as st

from worker.engine.interface import Segment
from worker.prompt.as_written import Text, as_written
from worker.template.placed_text import Origin, PlacedText

OPENING = "<assistant>"
IDS = (7, 8, 9)


def scaffold(text: str) -> PlacedText:
    return PlacedText(text=text)


def by(message: int, text: str) -> PlacedText:
    return PlacedText(text=text, origin=Origin(message=message))


def shown(texts: list[Text], written: str) -> list[Text]:
    return as_written(texts, 1, written, IDS, OPENING)


def joined(texts: list[Text]) -> str:
    return "".join(text.text for text in texts)


CALL: list[Text] = [
    scaffold("<user>"),
    by(0, "How warm is it?"),
    scaffold("<end><assistant><call>"),
    by(1, "weather"),
    scaffold("("),
    by(1, "Paris"),
    scaffold(")</call><end><tool>"),
    by(2, "9 degrees"),
    scaffold("<end><assistant>"),
]


def test_a_call_is_shown_as_it_was_written() -> None:
    written = "<call>weather(Paris)</call>"
    texts = shown(CALL, written)
    assert texts == [
        *CALL[:2],
        scaffold("<end><assistant>"),
        Segment(written, token_ids=IDS),
        scaffold("<end><tool>"),
        *CALL[7:],
    ]
    assert joined(texts) == joined(CALL)


def test_what_was_written_differently_is_tokenized_anew() -> None:
    assert shown(CALL, "<call>weather( Paris)</call>") == CALL
    assert shown(CALL, "I look. <call>weather(Paris)</call>") == CALL
    assert shown(CALL, "") == CALL


def test_the_ids_never_stand_for_half_of_what_somebody_wrote() -> None:
    assert shown(CALL, "<call>weath") == CALL
    assert shown(CALL, "<call>weather(Pa") == CALL


def test_a_reply_that_is_nothing_but_text_may_end_with_it() -> None:
    texts: list[Text] = [scaffold("<user>x<end><assistant>"), by(1, "Hi"), scaffold("<end>")]
    assert shown(texts, "Hi") == [
        scaffold("<user>x<end><assistant>"),
        Segment("Hi", token_ids=IDS),
        scaffold("<end>"),
    ]


def test_a_message_that_the_template_leaves_out_stays_out() -> None:
    texts: list[Text] = [scaffold("<user>"), by(0, "Hi"), scaffold("<end><assistant>")]
    assert shown(texts, "Hi") == texts


@given(
    st.lists(st.tuples(st.booleans(), st.text("ab<", min_size=1, max_size=4)), max_size=8),
    st.text("ab<", max_size=8),
)
def test_the_prompts_text_stays_the_same(pieces: list[tuple[bool, str]], written: str) -> None:
    texts: list[Text] = [scaffold("<user>Hi<end>" + OPENING)]
    texts += [by(1, text) if is_foreign else scaffold(text) for is_foreign, text in pieces]
    assert joined(shown(texts, written)) == joined(texts)
