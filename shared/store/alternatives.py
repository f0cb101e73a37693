"""What `replace_from` took out of conversations: listed, and put back."""

from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from shared.config import Settings
from shared.errors import ConversationBusy, NoSuchAlternative, NoSuchConversation
from shared.store.expiry import expiries
from shared.store.keys import Keys
from shared.store.message_page import Page
from shared.store.scripts import Scripts
from shared.wire.alternative_ids import number_and_job
from shared.wire.messages import StoredMessage, decode_messages
from shared.wire.models import ReplyModels
from shared.wire.objects import AlternativeObject, message_object
from shared.wire.timestamps import rfc3339

_SHOWN_MESSAGES: Final = 50
"""How many messages of an alternative are listed: the others have pages of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A tail of a conversation in whose place another one stands.

    Args:
        alternative_id: stays the same whether the tail stands or not.
        number: of its first message.
        replaced_ms: when it was replaced.
        length: how many messages it has.
        messages: the first of them.
        context: instructions of the conversation while it stands.
        under: id of the alternative that it continues; None if it continues what stands.
    """

    alternative_id: str
    number: int
    replaced_ms: int
    length: int
    messages: tuple[StoredMessage, ...]
    context: str
    under: str | None

    @classmethod
    def decode(
        cls,
        alternative_id: str,
        replaced: str,
        length: int,
        texts: list[str],
        models: str,
        context: str,
        under: str,
    ) -> "Alternative":
        """Read what `alternatives.lua` returns."""
        number, job_id = number_and_job(alternative_id)
        messages = decode_messages(texts, number, job_id)
        return cls(
            alternative_id=alternative_id,
            number=number,
            replaced_ms=int(replaced),
            length=length,
            messages=tuple(map(ReplyModels.decode(models).named, messages)),
            context=context,
            under=under or None,
        )

    def to_wire(self) -> AlternativeObject:
        return {
            "id": self.alternative_id,
            "number": self.number,
            "under": self.under,
            "context": self.context,
            "replaced_at": rfc3339(self.replaced_ms),
            "length": self.length,
            "messages": [message_object(message) for message in self.messages],
        }


class Alternatives:
    """The alternatives of one owner's conversations."""

    def __init__(self, redis: Redis, keys: Keys, settings: Settings) -> None:
        self._call = Scripts(redis, keys, "alternatives", "tail", "switch").call
        self._expiries = expiries(settings)
        self._limit = settings.alternatives

    async def list(
        self, conversation_id: str, owner_id: str, number: int | None = None
    ) -> tuple[Alternative, ...]:
        """Those that could stand now, from message `number` on or from any; as first submitted.

        Raises:
            NoSuchConversation: it is not this owner's, or does not exist.
        """
        listed = await self._listed(conversation_id, owner_id, number)
        return tuple(sorted(listed, key=lambda each: number_and_job(each.alternative_id)))

    async def all(
        self, conversation_id: str, owner_id: str, number: int | None = None
    ) -> tuple[Alternative, ...]:
        """Also those that belong under others, in the order in which they were replaced.

        Each is listed before the one under which it belongs.

        Raises:
            NoSuchConversation: it is not this owner's, or does not exist.
        """
        return await self._listed(conversation_id, owner_id, number, all=1)

    async def _listed(
        self, conversation_id: str, owner_id: str, number: int | None, **which: int
    ) -> tuple[Alternative, ...]:
        answer = await self._call(
            "alternatives",
            conversation=conversation_id,
            owner=owner_id,
            number=number,
            limit=_SHOWN_MESSAGES,
            **which,
        )
        if answer is None:
            raise NoSuchConversation("there is no such conversation")
        return tuple(Alternative.decode(*fields) for fields in answer)

    async def page(
        self, conversation_id: str, owner_id: str, alternative_id: str, limit: int, before: int
    ) -> Page:
        """The newest `limit` messages of one numbered below `before` (0: all).

        Raises:
            NoSuchConversation, NoSuchAlternative: there is none.
        """
        answer = await self._call(
            "tail",
            conversation=conversation_id,
            owner=owner_id,
            alternative=alternative_id,
            limit=limit,
            before=before,
        )
        if answer is None:
            raise NoSuchConversation("there is no such conversation")
        if answer == "NONE":
            raise NoSuchAlternative("there is no such alternative")
        return Page.decode(answer, limit, number_and_job(alternative_id)[1])

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
