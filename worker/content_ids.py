"""The token ids of a reply's text, among all that the model wrote."""

from bisect import bisect_left, bisect_right
from typing import Final

from worker.engine.interface import Engine

_LONGEST_CHARACTER: Final = 4
"""In bytes, and so in tokens."""


def ids_to_keep(engine: Engine, written: tuple[int, ...], text: str) -> tuple[int, ...] | None:
    """The text's ids, if tokenizing it gives others and they decode to exactly that text.

    Thoughts and markup around the text are left out, as are a stop string and what a later prompt
    does not show.

    Args:
        written: all that the model wrote.
    """
    canonical = tuple(engine.tokenize(text))
    if not text or written[len(written) - len(canonical) :] == canonical:
        return None
    token_ids = _ids_of(engine, _end_with(engine, written, text, len(canonical)), text)
    return None if token_ids == canonical else token_ids


def _end_with(engine: Engine, written: tuple[int, ...], text: str, length: int) -> tuple[int, ...]:
    """The end of what was written that holds the text: a thought in front of it may be long.

    Args:
        length: tokens that it should have at least.
    """
    while length < len(written) and text not in engine.detokenize(
        written[-length:], controls=False
    ):
        length *= 2
    return written[-length:]


def _ids_of(engine: Engine, written: tuple[int, ...], text: str) -> tuple[int, ...] | None:
    """The last tokens that decode to the text; None if its ends are none of a token."""

    def length(count: int) -> int:
        return len(engine.detokenize(written[:count], controls=False))

    at = engine.detokenize(written, controls=False).rfind(text)
    if at < 0:
        return None
    counts = range(len(written) + 1)
    start = bisect_right(counts, at, key=length) - 1
    end = bisect_left(counts, at + len(text), key=length)
    # The first token of a character counts as the whole of it.
    for behind in range(end, min(end + _LONGEST_CHARACTER, len(counts))):
        if engine.detokenize(written[start:behind], controls=False) == text:
            return written[start:behind]
    return None
