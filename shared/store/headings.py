"""Headings of conversations: made from the first prompt when first shown, and kept from then on."""

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.store.keys import Keys
from shared.store.scripts import Scripts
from shared.wire.conversation import Conversation
from shared.wire.heading import heading_of
from shared.wire.messages import decode_messages
from shared.wire.turn_request import TurnRequest


class Headings:
    """Makes the headings that are missing.

    A heading is kept once a first prompt stands in its conversation; before that, it is made from
    the prompt that waits for its reply, and not kept, as nothing of that may stay if it fails.
    """

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._call = Scripts(redis, keys, "prompts", "head").call

    async def completed(
        self, conversations: Sequence[Conversation], owner_id: str
    ) -> list[Conversation]:
        """Conversations of one owner with their headings, as far as they have a prompt."""
        missing = [
            each.conversation_id
            for each in conversations
            if each.heading is None and each.title is None and (each.turns or each.pending)
        ]
        made = await self._made(missing, owner_id) if missing else {}
        return [
            dataclasses.replace(each, heading=made.get(each.conversation_id, each.heading))
            for each in conversations
        ]

    async def _made(self, missing: list[str], owner_id: str) -> dict[str, str]:
        headings: dict[str, str] = {}
        kept: list[tuple[str, str, str]] = []
        while missing:
            answer = await self._call("prompts", conversations=" ".join(missing), owner=owner_id)
            for conversation_id, place, text, used in answer:
                heading = heading_of(_prompt(place, text))
                headings[conversation_id] = heading
                if place == "message":
                    kept.append((conversation_id, heading, used))
            missing = missing[len(answer) :]
        await self._keep(kept, owner_id)
        return headings

    async def _keep(self, made: list[tuple[str, str, str]], owner_id: str) -> None:
        """Store headings; while that is impossible, they are made again the next time."""
        arguments: dict[str, Any] = {"headings": len(made), "owner": owner_id}
        for at, (conversation_id, heading, used) in enumerate(made, start=1):
            arguments |= {
                f"conversation{at}": conversation_id,
                f"heading{at}": heading,
                f"used{at}": used,
            }
        if made:
            with contextlib.suppress(RedisError):
                await self._call("head", **arguments)


def _prompt(place: str, text: str) -> str:
    """The text of a prompt; empty where there is none that can be read."""
    if place == "message":
        return decode_messages([text], 1)[0].content
    with contextlib.suppress(ValueError, TypeError, KeyError, orjson.JSONDecodeError):
        return TurnRequest.decode(text).prompt
    return ""
