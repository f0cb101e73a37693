"""A conversation's turns as passages short enough to be quoted."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from shared.wire.messages import StoredMessage
from worker.prompt.passage import Passage, Quote
from worker.prompt.window import split_turns

_LONGEST: Final = 400
"""Bytes of a passage in UTF-8: about 100 tokens."""
_SHORTEST: Final = 1 / 3
"""Of the longest piece; a text is not cut before that."""
_ENDS: Final = tuple(
    map(re.compile, (r"\n\s*\n", r"\n", r"[.!?\u0964\u3002\uff01\uff1f\u061f]\s*", r"\s+"))
)
"""Where a text is best cut: between paragraphs, lines, sentences, words."""
_CUT: Final = "…"


def passages_of(messages: Sequence[StoredMessage], conversation_id: str = "") -> list[Passage]:
    """What users and assistants said, oldest first; a short turn is one passage.

    What tools answered is left out, and so are thoughts.

    Args:
        conversation_id: whose messages they are, if not the prompt's.
    """
    return [
        Passage(quotes=quotes, part=part)
        for turn in split_turns(messages)
        for part, quotes in enumerate(_parts(turn, conversation_id))
    ]


def _parts(turn: Sequence[StoredMessage], conversation_id: str) -> Iterator[tuple[Quote, ...]]:
    quotes: list[Quote] = []
    size = 0
    for message in turn:
        if message.role not in ("user", "assistant"):
            continue
        for text in _pieces(message.content):
            length = len(text.encode())
            if quotes and size + length > _LONGEST:
                yield tuple(quotes)
                quotes, size = [], 0
            quotes.append(
                Quote(
                    number=message.number,
                    role=message.role,
                    text=text,
                    conversation_id=conversation_id,
                )
            )
            size += length
    if quotes:
        yield tuple(quotes)


def _pieces(content: str) -> list[str]:
    """A text in pieces that say where something is left out."""
    text = content.strip()
    if not text:
        return []
    longest = max(1, _LONGEST * len(text) // len(text.encode()))
    pieces: list[str] = []
    while len(text) > longest:
        end = _end_of_piece(text, longest)
        pieces.append(text[:end].rstrip())
        text = text[end:].lstrip()
    pieces.append(text)
    last = len(pieces) - 1
    return [
        (_CUT + " " if place else "") + piece + (" " + _CUT if place < last else "")
        for place, piece in enumerate(pieces)
    ]


def _end_of_piece(text: str, longest: int) -> int:
    for end in _ENDS:
        matches = end.finditer(text, int(longest * _SHORTEST), longest)
        places = [match.end() for match in matches]
        if places:
            return places[-1]
    return longest
