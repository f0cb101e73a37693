"""The state of the queue as a whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from shared.store.keys import Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolState:
    """The line of one model.

    Args:
        waiting: turns in it.
        held: those of them that only their home may start yet.
        pace_s: mean time between two starts while turns waited; None if never measured.
    """

    waiting: int = 0
    held: int = 0
    pace_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """Turns that have not ended, and the lines of all models by name, also of those long gone.

    Args:
        cells: of each, where there are several; None for one that is away.
    """

    open: int
    pools: Mapping[str, PoolState]
    cells: "Sequence[QueueState | None]" = ()

    @property
    def waiting(self) -> int:
        """Turns in all lines."""
        return sum(pool.waiting for pool in self.pools.values())


class Queue:
    """Reads the state of the queue."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def state(self) -> QueueState:
        pools = await self._redis.zrange(self._keys.pools, 0, -1)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.zcard(self._keys.open_jobs)
            for pool in pools:
                pipe.zcard(self._keys.line(pool))
                pipe.zcard(self._keys.hold(pool))
                pipe.hmget(self._keys.pace(pool), ["time", "starts"])
            open_jobs, *answers = await pipe.execute()
        states = map(_pool_state, answers[::3], answers[1::3], answers[2::3])
        return QueueState(open=open_jobs, pools=dict(zip(pools, states, strict=True)))


def _pool_state(waiting: int, held: int, pace: Sequence[Any]) -> PoolState:
    time_ms, starts = pace
    pace_s = float(time_ms) / float(starts) / 1000 if time_ms and starts else None
    return PoolState(waiting=waiting, held=held, pace_s=pace_s)
