"""Messages as conversations store them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

Role = Literal["system", "user", "assistant"]

_ROLES: Final[dict[str, Role]] = {"s": "system", "u": "user", "a": "assistant"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """One message of a conversation.

    System messages are those that a client put between turns; the instructions before all messages
    are the conversation's context.

    Args:
        tokens: number of tokens of `content`.
        job_id: empty for a reply that was read without the prompt before it.
        token_ids: set only if tokenizing `content` again would give other ids.
        fingerprint: of the model that `token_ids` belong to.
        place: index among the messages that a client brought along.
    """

    number: int
    role: Role
    content: str
    timestamp_ms: int
    tokens: int
    job_id: str
    token_ids: tuple[int, ...] | None = None
    fingerprint: str = ""
    place: int | None = None

    def encode(self) -> bytes:
        """Compact JSON with short names, as there are millions of these.

        Whatever follows from the place in the list is left out (`decode_messages`).
        """
        fields: dict[str, Any] = {
            "r": self.role[0],
            "c": self.content,
            "t": self.timestamp_ms,
            "k": self.tokens,
        }
        if self.role != "assistant" or self.place is not None:
            fields["j"] = self.job_id
        if self.place is not None:
            fields["b"] = self.place
        if self.token_ids is not None:
            fields["i"], fields["f"] = self.token_ids, self.fingerprint
        return orjson.dumps(fields)


def decode_messages(texts: Iterable[str | bytes], number: int) -> tuple[StoredMessage, ...]:
    """Consecutive messages of a conversation, the first of which has this number.

    A reply belongs to the job of the prompt before it; older replies name their job themselves.
    """
    messages: list[StoredMessage] = []
    job_id = ""
    for fields in map(orjson.loads, texts):
        job_id = fields.get("j", job_id)
        messages.append(
            StoredMessage(
                number=number + len(messages),
                role=_ROLES[fields["r"]],
                content=fields["c"],
                timestamp_ms=fields["t"],
                tokens=fields["k"],
                job_id=job_id,
                token_ids=tuple(fields["i"]) if "i" in fields else None,
                fingerprint=fields.get("f", ""),
                place=fields.get("b"),
            )
        )
    return tuple(messages)
