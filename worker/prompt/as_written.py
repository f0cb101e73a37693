"""Shows a reply in a later prompt with the very tokens that the model wrote.

Markup and the text beside it are not always cut into the tokens that the model drew. If the chat
template shows a reply as the model wrote it, its ids can stand for that stretch of the prompt, so
that what was evaluated before serves again.
"""

from collections.abc import Sequence

from worker.engine.interface import Segment
from worker.template.placed_text import PlacedText

Text = PlacedText | Segment


def as_written(
    texts: Sequence[Text],
    message: int,
    written: str,
    token_ids: tuple[int, ...],
    opening: str,
) -> list[Text]:
    """The texts with one message's as the model wrote it, if the template shows it like that.

    Args:
        message: its index among the rendered messages.
        written: the text of `token_ids`, control tokens included.
        opening: what stands in front of any reply.
    """
    texts = list(texts)
    first = next((place for place, text in enumerate(texts) if _is_of(text, message)), None)
    if first is None or not written or not opening:
        return texts
    # The template's own text in front of it holds the opening and, maybe, the first markup.
    scaffold = texts[first - 1] if first > 0 else None
    if scaffold is not None and _is_scaffold(scaffold):
        first -= 1
    begin = texts[first].text.rfind(opening)
    if not _is_scaffold(texts[first]) or begin < 0:
        return texts
    begin += len(opening)
    return _replaced(texts, first, begin, written, token_ids) or texts


def _replaced(
    texts: Sequence[Text], first: int, begin: int, written: str, token_ids: tuple[int, ...]
) -> list[Text] | None:
    """None if what stands there is something else, or ends inside of what somebody wrote."""
    left = written
    for place in range(first, len(texts)):
        text = texts[place].text[begin if place == first else 0 :]
        if len(text) >= len(left):
            rest = text[len(left) :]
            if not text.startswith(left) or (rest and not _is_scaffold(texts[place])):
                return None
            before = PlacedText(text=texts[first].text[:begin])
            shown = Segment(written, token_ids=token_ids)
            return [*texts[:first], before, shown, *_nonempty(rest), *texts[place + 1 :]]
        if not left.startswith(text):
            return None
        left = left[len(text) :]
    return None


def _is_of(text: Text, message: int) -> bool:
    return (
        isinstance(text, PlacedText)
        and text.origin is not None
        and (text.origin.message == message)
    )


def _is_scaffold(text: Text) -> bool:
    return isinstance(text, PlacedText) and text.origin is None


def _nonempty(text: str) -> list[Text]:
    return [PlacedText(text=text)] if text else []
