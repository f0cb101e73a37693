"""The state of the queue as a whole."""

from dataclasses import dataclass

from redis.asyncio import Redis

from shared.store.keys import Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """Turns that have not ended, those of them that wait, and workers heard from lately."""

    open: int
    waiting: int
    workers: int


class Queue:
    """Reads the state of the queue."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def state(self) -> QueueState:
        workers = await self._redis.zrange(self._keys.workers, 0, -1)
        pools = await self._redis.zrange(self._keys.pools, 0, -1)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.zcard(self._keys.open_jobs)
            for pool in pools:
                pipe.zcard(self._keys.line(pool))
            for worker in workers:
                pipe.exists(self._keys.worker(worker))
            open_jobs, *counts = await pipe.execute()
        waiting, alive = sum(counts[: len(pools)]), sum(counts[len(pools) :])
        return QueueState(open=open_jobs, waiting=waiting, workers=alive)
