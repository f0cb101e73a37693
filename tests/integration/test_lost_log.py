"""A replica takes over that lacks the last pieces of a running reply: they are published again."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from shared.store.connection import connect
from shared.store.keys import Keys
from tests.scripted import ScriptedEngine
from tests.servers import Stack, Valkey, make_settings, running_stack
from tests.sse import Received, received

PROMPT = "abcdefghijklmnopqrstuvwxyz" * 4
REPLY = f"You said: {PROMPT}"


class Turn:
    """One that runs as far as a test lets it, and what Redis has of it."""

    def __init__(self, stack: Stack, redis: Redis, steps: "asyncio.Queue[None]") -> None:
        self._stack = stack
        self._redis: Any = redis
        self._steps = steps
        self.id = ""

    async def begin(self) -> None:
        self.id = (await self._stack.client.post("/jobs", json={"prompt": PROMPT})).json()["job"]

    @property
    def _names(self) -> list[str]:
        keys = Keys(self._stack.settings.keyspace)
        return [keys.job(self.id), keys.events(self.id)]

    async def text(self) -> str:
        """What the log holds of the reply."""
        entries = await self._redis.xrange(self._names[1])
        return "".join(fields["d"][9:-2] for _, fields in entries if fields["e"] == "token")

    async def length(self) -> int:
        """How many entries the log has."""
        return int(await self._redis.xlen(self._names[1]))

    async def go_on(self, steps: int) -> None:
        """Generate so many more pieces, and wait until they are in the log."""
        before = await self.text()
        for _ in range(steps):
            self._steps.put_nowait(None)
        async with asyncio.timeout(10):
            while await self.text() == before:
                await asyncio.sleep(0.01)

    async def copies(self) -> list[bytes]:
        """What a replica has that takes nothing over from now on."""
        binary = connect(self._stack.settings, decode_responses=False)
        async with binary:
            return [await binary.dump(name) for name in self._names]

    async def take_over(self, copies: list[bytes]) -> None:
        """That replica is the primary now."""
        for name, copy in zip(self._names, copies, strict=True):
            await self._redis.restore(name, 0, copy, replace=True)

    async def finish(self) -> dict[str, Any]:
        for _ in range(len(REPLY)):
            self._steps.put_nowait(None)
        ended: dict[str, Any] = (await self._stack.client.get(f"/jobs/{self.id}?wait=20")).json()
        return ended

    async def events(self, after: str | None = None, most: int = 1000) -> list[Received]:
        headers = {"Last-Event-ID": after} if after else {}
        seen: list[Received] = []
        path = f"/jobs/{self.id}/events"
        async with self._stack.client.stream("GET", path, headers=headers) as response:
            async for event in received(response):
                seen.append(event)
                if len(seen) == most or event.kind == "completed":
                    break
        return seen


def text_of(events: list[Received]) -> str:
    return "".join(event.data["text"] for event in events if event.kind == "token")


@pytest.mark.parametrize("goes_on", [True, False], ids=["while it goes on", "at its end"])
async def test_what_was_lost_is_published_again_and_read_once(
    valkey: Valkey, goes_on: bool
) -> None:
    steps = asyncio.Queue[None]()
    engine = ScriptedEngine(piece_length=4, step=lambda _: asyncio.ensure_future(steps.get()))
    async with (
        running_stack(make_settings(valkey.url), engine) as stack,
        connect(stack.settings) as redis,
    ):
        turn = Turn(stack, redis, steps)
        await turn.begin()
        await turn.go_on(2)
        copies = await turn.copies()
        await turn.go_on(2)
        await turn.go_on(2)
        early = await turn.events(most=await turn.length())
        await turn.take_over(copies)
        if goes_on:
            await turn.go_on(2)
            assert REPLY.startswith(await turn.text())
        ended = await turn.finish()
        whole = await turn.events()
        late = await turn.events(after=early[-1].id)
    assert ended["result"]["reply"] == REPLY
    assert text_of(whole) == REPLY
    # Who had read the lost pieces does not get them twice.
    assert text_of(early) + text_of(late) == REPLY
