"""A worker of the last version before data format 2, with its own scripts and a scripted engine."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
from redis.asyncio import Redis

from shared.config import Settings
from shared.errors import TurnFailed
from shared.process.tasks import end
from shared.store.connection import connect
from shared.wire.write_outcome import WriteOutcome
from tests.faults.old_wire.claim import Claim
from tests.faults.old_wire.claims import Claims
from tests.faults.old_wire.completion import Completion
from tests.faults.old_wire.keys import WORKER_GROUP, Keys
from tests.faults.old_wire.messages import StoredMessage
from tests.faults.old_wire.publication import PieceRecord
from tests.faults.old_wire.reply import (
    PromptTokensDetails,
    Timings,
    TurnResult,
    Usage,
    reply_object,
)
from tests.faults.script import reply_to

PIECE_LENGTH = 4
LIFE_MS = 2_000


class OldWorker:
    """Runs one turn after the other; a cancelled one leaves everything as a crash would."""

    def __init__(self, redis: Redis, settings: Settings, name: str, piece_s: float) -> None:
        self._redis: Any = redis
        self._keys = Keys(settings.namespace)
        self._claims = Claims(redis, self._keys, settings)
        self._name = name
        self._piece_s = piece_s
        self.replied = 0

    async def run(self) -> None:
        await self._claims.ensure_group()
        while True:
            await self.announce()
            claim = await self._next()
            if claim is not None:
                await self._reply(claim)

    async def announce(self) -> None:
        """What others know it by; its report names no pool."""
        await self._redis.hset(self._keys.worker(self._name), mapping={"model": "scripted"})
        await self._redis.pexpire(self._keys.worker(self._name), LIFE_MS)
        await self._redis.zadd(self._keys.workers, {self._name: time.time_ns() // 1_000_000})

    async def _next(self) -> Claim | None:
        lost = await self._claims.reclaim(self._name, secrets.token_hex(8), model="scripted")
        if lost is not None:
            return lost
        permits = await self._redis.xreadgroup(
            WORKER_GROUP, self._name, {self._keys.permits: ">"}, count=1, block=50
        )
        if not permits:
            return None
        permit = permits[0][1][0][0]
        return await self._claims.claim(permit, self._name, secrets.token_hex(8), model="scripted")

    async def _reply(self, claim: Claim) -> None:
        if claim.unreadable is not None or claim.history is None:
            await self._claims.fail(claim, TurnFailed("another version stored it"))
            return
        text = reply_to(claim.history.turns + 1, claim.request.prompt)
        at = len((await self._claims.published(claim)).piece.token_ids)
        while at < len(text):
            piece = text[at : at + PIECE_LENGTH]
            await asyncio.sleep(self._piece_s)
            record = PieceRecord(text=piece, token_ids=tuple(map(ord, piece)))
            if await self._claims.publish(claim, at, record) is not WriteOutcome.OK:
                return
            await self._claims.beat(claim, self._name)
            at += len(piece)
        await self._claims.commit(claim, _completion(claim, text, claim.history.next_number))
        self.replied += 1


def _completion(claim: Claim, text: str, number: int) -> Completion:
    user, assistant = (
        StoredMessage(
            number=number + place,
            role="assistant" if place else "user",
            content=content,
            timestamp_ms=claim.created_ms,
            tokens=len(content),
            job_id=claim.job_id,
        )
        for place, content in enumerate((claim.request.prompt, text))
    )
    result = orjson.dumps(_result(text))
    return Completion(
        user=user,
        assistant=assistant,
        offset=1,
        tokens=len(text),
        window=b"{}",
        result=result,
        reply=reply_object(claim.job_id, claim.conversation_id, claim.request, result),
        piece=None,
        context=claim.request.context,
    )


def _result(text: str) -> TurnResult:
    return TurnResult(
        reply=text,
        timestamp="2026-11-26T00:00:00.000Z",
        numberOfTokens=len(text),
        finish_reason="stop",
        usage=Usage(
            prompt_tokens=0,
            completion_tokens=len(text),
            total_tokens=len(text),
            prompt_tokens_details=PromptTokensDetails(cached_tokens=0),
        ),
        window={"budget": 0, "used": 0, "turns_kept": 1, "turns_dropped": 0},
        timings=Timings(queued_ms=0, prompt_ms=0, generation_ms=0),
    )


class OldWorkers:
    """Old workers of one namespace."""

    def __init__(self, redis: Redis, settings: Settings, piece_s: float) -> None:
        self._redis, self._settings, self._piece_s = redis, settings, piece_s
        self._tasks: list[asyncio.Task[None]] = []
        self._workers: list[OldWorker] = []

    @property
    def replied(self) -> int:
        """Turns that they have completed."""
        return sum(worker.replied for worker in self._workers)

    @property
    def errors(self) -> Sequence[BaseException]:
        """What has ended any of them, kills apart."""
        ended = [task for task in self._tasks if task.done() and not task.cancelled()]
        return [error for task in ended if (error := task.exception()) is not None]

    async def start(self) -> None:
        """Start one more; returns when others know of it."""
        worker = OldWorker(self._redis, self._settings, f"old:{len(self._tasks)}", self._piece_s)
        await worker.announce()
        self._workers.append(worker)
        self._tasks.append(asyncio.create_task(worker.run()))

    async def kill(self) -> None:
        """End the one that lives longest already, as if by SIGKILL."""
        await end(next(task for task in self._tasks if not task.done()))

    async def end(self) -> None:
        await end(*self._tasks)


@asynccontextmanager
async def old_workers(
    settings: Settings, count: int = 1, *, piece_s: float = 0.0
) -> AsyncIterator[OldWorkers]:
    """So many old workers, on a connection of their own."""
    async with connect(settings) as redis:
        workers = OldWorkers(redis, settings, piece_s)
        for _ in range(count):
            await workers.start()
        try:
            yield workers
        finally:
            await workers.end()
        assert not workers.errors
