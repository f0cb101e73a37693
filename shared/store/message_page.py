"""A page of a conversation's messages, or of an alternative's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.wire.alternative_ids import alternatives_of
from shared.wire.messages import StoredMessage, decode_messages
from shared.wire.models import ReplyModels
from shared.wire.objects import MessageObject, message_object


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Messages, oldest first, and the `before` of the page before them, or None.

    `alternatives` has the ids of all tails that could stand in place of one that begins here.
    """

    messages: tuple[StoredMessage, ...]
    next: int | None
    alternatives: tuple[str, ...] = ()

    @classmethod
    def decode(cls, answer: Sequence[Any], limit: int, job_id: str = "") -> "Page":
        """Read what `page.lua` or `tail.lua` returns.

        Args:
            limit: how many messages were asked for; the one before them was read, too.
            job_id: that of the message before the first, where that is not among them.
        """
        next_before, number, messages, models, alternatives = answer
        decoded = decode_messages(messages, int(number), job_id)[-limit:]
        return cls(
            messages=tuple(map(ReplyModels.decode(models).named, decoded)),
            next=int(next_before) or None,
            alternatives=tuple(alternatives),
        )

    def to_wire(self) -> dict[str, Any]:
        return {"messages": [*map(self._message, self.messages)], "next": self.next}

    def _message(self, message: StoredMessage) -> MessageObject:
        shown = message_object(message)
        if (alternatives := alternatives_of(message, self.alternatives)) is not None:
            shown["alternatives"] = alternatives
        return shown
