"""The workers: their reports, and when they were last heard from."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from redis.asyncio import Redis

from shared.store.data_format import FORMAT_OF_POOLS
from shared.store.keys import Keys
from shared.store.scripts import Scripts, milliseconds
from shared.wire.announced import Announced, Keeper
from shared.wire.cold_homes import ColdHomes
from shared.wire.drain_answer import DrainAnswer
from shared.wire.other_worker import OtherWorker
from shared.wire.served_model import ServedModel, decode_capabilities, merged
from shared.wire.worker_report import WorkerReport

WORKER_SILENCE_S: Final = 60.0
"""Prompts are refused after this long without a sign of life from any worker."""
_AT_ONCE: Final = 100
"""Reports read by one call: the server answers nobody else meanwhile."""


class Workers:
    """Writes and reads the workers' reports."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._call = Scripts(
            redis, keys, "announce", "cool", "drain", "leave", "register", "silence"
        ).call

    async def register(
        self, worker_id: str, report: WorkerReport, ttl_s: float
    ) -> OtherWorker | None:
        """A worker starts; returns the worker that prevents it, having another model or window."""
        answer = await self._call(
            "register",
            format=FORMAT_OF_POOLS,
            worker=worker_id,
            ttl_ms=milliseconds(ttl_s),
            silence_ms=milliseconds(WORKER_SILENCE_S),
            **report.encode(),
        )
        if answer == ["OK"]:
            return None
        _, other, differs, value, left_ms = answer
        return OtherWorker(
            worker_id=other, differs=differs, value=value, known_for_s=max(0, int(left_ms)) / 1000
        )

    async def of_other_length(self, context_length: int) -> OtherWorker | None:
        """A live worker with another `PALAVER_CONTEXT_LENGTH`: the one forgotten last.

        None if any worker has ours: each model may have a length of its own.
        """
        async with self._redis.pipeline(transaction=False) as pipe:
            for worker in (workers := await self._redis.zrange(self._keys.workers, 0, -1)):
                pipe.hget(self._keys.worker(worker), "context_length")
                pipe.pttl(self._keys.worker(worker))
            answers = await pipe.execute()
        if str(context_length) in answers[::2]:
            return None
        others = [
            OtherWorker(
                worker_id=worker,
                differs="context_length",
                value=length,
                known_for_s=max(0, left_ms) / 1000,
            )
            for worker, length, left_ms in zip(workers, answers[::2], answers[1::2], strict=True)
            if length is not None and length != str(context_length)
        ]
        return max(others, key=lambda other: other.known_for_s, default=None)

    async def announce(self, worker_id: str, report: WorkerReport, ttl_s: float) -> Announced:
        """Store a worker's report; it is forgotten after `ttl_s` without another."""
        answer = await self._call(
            "announce",
            worker=worker_id,
            ttl_ms=milliseconds(ttl_s),
            silence_ms=milliseconds(WORKER_SILENCE_S),
            **report.encode(),
        )
        return _announced(answer)

    async def announce_unchanged(
        self, worker_id: str, report: WorkerReport, ttl_s: float
    ) -> Announced | None:
        """Keep the report that is stored for another `ttl_s`; None if none is."""
        answer = await self._call(
            "announce",
            worker=worker_id,
            ttl_ms=milliseconds(ttl_s),
            pool=report.pool,
            slots=report.slots,
            running=report.running,
        )
        return None if answer == ["UNKNOWN"] else _announced(answer)

    async def cool(self, worker_id: str, pool: str, cold: ColdHomes) -> None:
        """A worker's cache has dropped these: nothing waits for that worker any more."""
        await self._call(
            "cool",
            worker=worker_id,
            pool=pool,
            conversations=" ".join(cold.conversations),
            prefixes=" ".join(cold.prefixes),
        )

    async def drain(self, worker_id: str, pool: str, ttl_s: float) -> None:
        """A worker takes no more turns."""
        await self._call("drain", worker=worker_id, pool=pool, ttl_ms=milliseconds(ttl_s))

    async def ask_to_drain(self, worker_id: str) -> DrainAnswer:
        """Have a worker take no more turns, and end when those that it has have ended."""
        return DrainAnswer(await self._call("drain", worker=worker_id))

    async def leave(self, worker_id: str, pool: str) -> None:
        """A worker stops."""
        await self._call("leave", worker=worker_id, pool=pool)

    async def is_served(self, model_name: str) -> bool:
        """Whether a worker of this model was heard from lately."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.zscore(self._keys.pools, model_name)
            pipe.time()
            heard_ms, (now_s, _) = await pipe.execute()
        return heard_ms is not None and now_s - heard_ms / 1000 <= WORKER_SILENCE_S

    async def models(self) -> dict[str, ServedModel]:
        """The models of the live workers by name, the one that was there first in front."""
        workers = await self._redis.zrange(self._keys.workers, 0, -1)
        async with self._redis.pipeline(transaction=False) as pipe:
            for worker in workers:
                pipe.hmget(self._keys.worker(worker), ["model", "window", "capabilities"])
            answers = await pipe.execute()
        models: dict[str, ServedModel] = {}
        for name, window, stored in sorted(answers, key=str):
            if name:
                before = models.get(name, ServedModel(name=name, workers=0))
                models[name] = ServedModel(
                    name=name,
                    window=int(window or 0),
                    workers=before.workers + 1,
                    capabilities=merged(before.capabilities, decode_capabilities(stored)),
                )
        return {name: models[name] for name in await self._in_order(models)}

    async def _in_order(self, model_names: Iterable[str]) -> list[str]:
        """Models by when they came; workers of versions before pools do not tell."""
        names = sorted(model_names)
        async with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hget(self._keys.pool(name), "since")
            times = await pipe.execute()
        return [name for _, name in sorted(zip(map(_time_of, times), names, strict=True))]

    async def all(self) -> dict[str, WorkerReport]:
        """The last report of each live worker, by its id."""
        stored = await self.stored()
        return {worker: WorkerReport.decode(fields) for worker, fields in stored.items()}

    async def stored(self) -> dict[str, dict[str, str]]:
        """The reports as they are stored."""
        workers = await self._redis.zrange(self._keys.workers, 0, -1)
        stored: dict[str, dict[str, str]] = {}
        for first in range(0, len(workers), _AT_ONCE):
            batch = workers[first : first + _AT_ONCE]
            async with self._redis.pipeline(transaction=False) as pipe:
                for worker in batch:
                    pipe.hgetall(self._keys.worker(worker))
                stored |= zip(batch, await pipe.execute(), strict=True)
        return {worker: fields for worker, fields in stored.items() if fields}

    async def silence_s(self) -> float | None:
        """Seconds since any worker was heard from; None if none ever was."""
        answer = await self._call("silence")
        return None if answer is None else float(answer) / 1000


def _announced(answer: Sequence[Any]) -> Announced:
    state, keeper, workers, now, steps = answer
    return Announced(
        is_draining=state == "DRAINING",
        keeper=Keeper(worker_id=keeper or None, workers=workers),
        server_ms=int(now),
        steps=steps,
    )


def _time_of(since: str | None) -> float:
    return float("inf") if since is None else float(since)
