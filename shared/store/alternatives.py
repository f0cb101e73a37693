"""What `replace_from` took out of conversations: listed, and put back."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from shared.config import Settings
from shared.errors import ConversationBusy, NoSuchAlternative, NoSuchConversation
from shared.store.expiry import expiries
from shared.store.keys import Keys
from shared.store.scripts import Scripts
from shared.wire.messages import StoredMessage, decode_messages
from shared.wire.models import ReplyModels
from shared.wire.objects import AlternativeObject, AlternativesOfMessage, message_object
from shared.wire.timestamps import rfc3339

_SHOWN_MESSAGES: Final = 50
"""How many messages of an alternative are listed: the rest is read by putting it back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A tail of a conversation in whose place another one stands.

    Args:
        alternative_id: stays the same whether the tail stands or not.
        number: of its first message.
        replaced_ms: when it was replaced.
        length: how many messages it has.
        messages: the first of them.
    """

    alternative_id: str
    number: int
    replaced_ms: int
    length: int
    messages: tuple[StoredMessage, ...]

    @classmethod
    def decode(
        cls, alternative_id: str, replaced: str, length: int, texts: list[str], models: str
    ) -> "Alternative":
        """Read what `alternatives.lua` returns."""
        number, job_id = _parts(alternative_id)
        messages = decode_messages(texts, number, job_id)
        return cls(
            alternative_id=alternative_id,
            number=number,
            replaced_ms=int(replaced),
            length=length,
            messages=tuple(map(ReplyModels.decode(models).named, messages)),
        )

    def to_wire(self) -> AlternativeObject:
        return {
            "id": self.alternative_id,
            "number": self.number,
            "replaced_at": rfc3339(self.replaced_ms),
            "length": self.length,
            "messages": [message_object(message) for message in self.messages],
        }


class Alternatives:
    """The alternatives of one owner's conversations."""

    def __init__(self, redis: Redis, keys: Keys, settings: Settings) -> None:
        self._call = Scripts(redis, keys, "alternatives", "switch").call
        self._expiries = expiries(settings)
        self._limit = settings.alternatives

    async def list(
        self, conversation_id: str, owner_id: str, number: int | None = None
    ) -> tuple[Alternative, ...]:
        """Those that could stand now, from message `number` on or from any; as first submitted.

        Raises:
            NoSuchConversation: it is not this owner's, or does not exist.
        """
        answer = await self._call(
            "alternatives",
            conversation=conversation_id,
            owner=owner_id,
            number=number,
            limit=_SHOWN_MESSAGES,
        )
        if answer is None:
            raise NoSuchConversation("there is no such conversation")
        decoded = (Alternative.decode(*fields) for fields in answer)
        return tuple(sorted(decoded, key=lambda each: _parts(each.alternative_id)))

    async def switch(self, conversation_id: str, owner_id: str, alternative_id: str) -> None:
        """Put an alternative back; what stood in its place becomes an alternative.

        Repeating the call is safe: one that stands already stays.

        Raises:
            NoSuchConversation, NoSuchAlternative, ConversationBusy: nothing was changed.
        """
        answer = await self._call(
            "switch",
            conversation=conversation_id,
            owner=owner_id,
            alternative=alternative_id,
            alternatives=self._limit,
            **self._expiries,
        )
        match answer:
            case "GONE":
                raise NoSuchConversation("there is no such conversation")
            case "NONE":
                raise NoSuchAlternative("there is no such alternative of what stands now")
            case "BUSY":
                raise ConversationBusy("turns of the conversation have not ended")


def alternatives_of(
    message: StoredMessage, alternative_ids: Iterable[str]
) -> AlternativesOfMessage | None:
    """Which tails may stand from a message on, as first submitted; None if it is the only one."""
    shown = f"{message.number}-{message.job_id}"
    ids = sorted({shown, *(each for each in alternative_ids if _parts(each)[0] == message.number)})
    if len(ids) == 1:
        return None
    return {"count": len(ids), "shown": ids.index(shown) + 1, "ids": ids}


def _parts(alternative_id: str) -> tuple[int, str]:
    """The number of its first message, and that message's job; job ids begin with their time."""
    number, _, job_id = alternative_id.partition("-")
    return int(number), job_id
