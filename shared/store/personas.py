"""Owners' personas."""

from typing import Any, Final

from redis.asyncio import Redis

from shared.errors import TooManyPersonas
from shared.store.keys import Keys
from shared.store.scripts import Scripts
from shared.wire.persona import Persona, PersonaObject

MOST_PERSONAS: Final = 100
"""Of an owner: all of them are read at once."""


class Personas:
    """Writes and reads them; an owner sees only its own."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis: Any = redis
        self._keys = keys
        self._call = Scripts(redis, keys, "keep_persona").call

    async def list(self, owner_id: str) -> list[PersonaObject]:
        """All of an owner, by name."""
        stored = await self._redis.hgetall(self._keys.personas(owner_id))
        shown = [_shown(persona_id, text) for persona_id, text in stored.items()]
        return sorted(shown, key=lambda persona: (persona["name"].casefold(), persona["id"]))

    async def keep(self, owner_id: str, persona: Persona) -> tuple[PersonaObject, bool]:
        """Store one in place of what had its id; returns it, and whether there was nothing.

        Raises:
            TooManyPersonas: nothing was stored.
        """
        answer = await self._call(
            "keep_persona",
            owner=owner_id,
            persona=persona.persona_id,
            text=persona.encode(),
            most=MOST_PERSONAS,
        )
        if answer[0] == "FULL":
            raise TooManyPersonas(MOST_PERSONAS)
        _, is_new, now_ms = answer
        return persona.to_wire(int(now_ms)), bool(is_new)

    async def delete(self, owner_id: str, persona_id: str) -> bool:
        """Delete one; False if there is none with this id."""
        return bool(await self._redis.hdel(self._keys.personas(owner_id), persona_id))


def _shown(persona_id: str, stored: str) -> PersonaObject:
    updated_ms, _, text = stored.partition(" ")
    return Persona.decode(persona_id, text).to_wire(int(updated_ms))
