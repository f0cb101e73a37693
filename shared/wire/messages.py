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

    Those of the system are what a client put between turns; what stands in front of all of them is
    the conversation's context.

    `token_ids` are set only where tokenizing `content` again would give other ids; they are those
    of the model with the fingerprint `model`. `job` is empty for a reply that was read without the
    prompt in front of it. A message that a client brought along has its `place` among those.
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
        """Compact JSON with short names, because there are millions of these.

        What follows from its place in the list is left out (`decode_messages`).
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
    """Messages that follow one another in a conversation, from this number on.

    A reply is of the same job as the prompt in front of it. (Older ones say it themselves.)
    """
    messages: list[StoredMessage] = []
    job = ""
    for fields in map(orjson.loads, texts):
        job = fields.get("j", job)
        messages.append(
            StoredMessage(
                number=number + len(messages),
                role=_ROLES[fields["r"]],
                content=fields["c"],
                timestamp_ms=fields["t"],
                tokens=fields["k"],
                job_id=job,
                token_ids=tuple(fields["i"]) if "i" in fields else None,
                fingerprint=fields.get("f", ""),
                place=fields.get("b"),
            )
        )
    return tuple(messages)
