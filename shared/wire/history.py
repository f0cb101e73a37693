"""A conversation as a turn needs it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.wire.memory import MemoryMode
from shared.wire.messages import StoredMessage, decode_messages
from shared.wire.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A conversation up to a turn's prompt.

    Args:
        context: its instructions.
        next_number: number of the turn's prompt.
        offset: number of the first of `messages`.
        messages: those that the window may show.
        turns: number of turns with a reply before this one, those not in `messages` included.
        pinned: turns before `offset` that have pinned messages.
        summary: of most of what is before the turn's prompt; it may stand for some of `messages`.
        memory: what becomes of turns that leave the window; None leaves it to the server's setting.
    """

    context: str
    next_number: int
    offset: int
    messages: tuple[StoredMessage, ...]
    turns: int
    memory: MemoryMode | None = None
    pinned: tuple[tuple[StoredMessage, ...], ...] = ()
    summary: Summary | None = None

    @classmethod
    def decode(cls, view: Sequence[Any]) -> "History":
        """From the last part of an answer of `take`."""
        context, next_number, offset, messages, turns, memory, pinned, summary = view[:8]
        return cls(
            context=context,
            next_number=int(next_number),
            offset=int(offset),
            messages=decode_messages(messages, int(offset)),
            turns=int(turns),
            memory=memory or None,
            pinned=tuple(decode_messages(texts, int(number)) for number, texts in pinned),
            summary=Summary.decode(summary),
        )
