"""Faults that hit what the queue counts on: homes, the keeper, bells, all workers of a model."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tests.faults.cluster import Cluster, Process
from tests.servers import Valkey

_AIM_S: Final = 3.0
"""How long something to hit is looked for."""
_LOOK_S: Final = 0.005
_LOST_BELLS: Final = 50


class Missed(Exception):
    """There was nothing to hit."""


class AimedFaults:
    """Injects faults where they hurt the queue, each healed in the end.

    Args:
        lease_s: of the workers: pauses are longer than it.
    """

    def __init__(self, cluster: Cluster, dice: random.Random, lease_s: float) -> None:
        self._cluster = cluster
        self._random = dice
        self._lease_s = lease_s
        self.kinds: dict[str, tuple[Callable[[], Awaitable[None]], int]] = {
            "home of a held turn killed": (self._home_killed, 6),
            "home of a held turn stopped": (self._home_stopped, 4),
            "home of a held turn paused": (self._home_paused, 4),
            "worker woken when its turn was taken over": (self._woken_at_take_over, 4),
            "keeper of the queue killed": (self._keeper_killed, 3),
            "keeper of the queue paused": (self._keeper_paused, 2),
            "bells lost": (self._bells_lost, 3),
            "all workers of a model killed": (self._model_killed, 2),
            "all workers of a model stopped": (self._model_stopped, 2),
        }
        if isinstance(cluster.server, Valkey):
            self.kinds["Redis killed while turns are held"] = (self._redis_killed, 2)

    async def _home_killed(self) -> None:
        home = await self._home()
        home.kill()
        await self._pause(0.05, 2 * self._lease_s)
        home.start()

    async def _home_stopped(self) -> None:
        home = await self._home()
        await home.stop()
        home.start()

    async def _home_paused(self) -> None:
        await self._freeze(await self._home())

    async def _woken_at_take_over(self) -> None:
        """It stands still until another worker generates its turn, and goes on at once."""
        worker = await self._found(self._generating)
        worker.send(signal.SIGSTOP)
        try:
            async with self._cluster.loaded_redis() as redis:
                await self._taken_over(redis, worker, within_s=4 * self._lease_s)
        finally:
            worker.send(signal.SIGCONT)

    async def _keeper_killed(self) -> None:
        keeper = await self._keeper()
        keeper.kill()
        await self._pause(0.05, 1.0)
        keeper.start()

    async def _keeper_paused(self) -> None:
        await self._freeze(await self._keeper())

    async def _freeze(self, worker: Process) -> None:
        """For longer than its lease."""
        worker.send(signal.SIGSTOP)
        await self._pause(1.1 * self._lease_s, 2 * self._lease_s)
        worker.send(signal.SIGCONT)

    async def _redis_killed(self) -> None:
        await self._home()
        self._cluster.valkey.kill()
        await self._pause(0.05, 1.5)
        await asyncio.to_thread(self._cluster.valkey.start)

    async def _bells_lost(self) -> None:
        """Whatever rings, for half a second."""
        keys = self._cluster.keys
        async with self._cluster.loaded_redis() as redis:
            for _ in range(_LOST_BELLS):
                for worker in await redis.zrange(keys.workers, 0, -1):
                    await redis.delete(keys.bells(worker))
                await self._pause(0.0, 0.02)

    async def _model_killed(self) -> None:
        workers = self._workers_of_a_model()
        for worker in workers:
            worker.kill()
        await self._pause(0.05, 2 * self._lease_s)
        for worker in workers:
            worker.start()

    async def _model_stopped(self) -> None:
        """Prompts for it are refused meanwhile."""
        workers = self._workers_of_a_model()
        await asyncio.gather(*(worker.stop() for worker in workers))
        await self._pause(0.05, self._lease_s)
        for worker in workers:
            worker.start()

    async def _pause(self, shortest_s: float, longest_s: float) -> None:
        await asyncio.sleep(self._random.uniform(shortest_s, longest_s))

    def _workers_of_a_model(self) -> list[Process]:
        model = self._random.choice(self._cluster.workers).model
        return [worker for worker in self._cluster.workers if worker.model == model]

    async def _home(self) -> Process:
        """The home of a turn that is held for it just now."""
        return await self._found(self._homes_of_held_turns)

    async def _keeper(self) -> Process:
        return await self._found(self._keepers)

    async def _found(self, look: Callable[[Any], Awaitable[list[str]]]) -> Process:
        """One of the workers that a look at Redis names.

        Raises:
            Missed: it names none that runs.
        """
        async with self._cluster.loaded_redis() as redis:
            deadline = asyncio.get_running_loop().time() + _AIM_S
            while asyncio.get_running_loop().time() < deadline:
                workers = map(self._cluster.known_worker, await look(redis))
                if running := [worker for worker in workers if worker is not None]:
                    return self._random.choice(running)
                await asyncio.sleep(_LOOK_S)
        raise Missed

    async def _homes_of_held_turns(self, redis: Any) -> list[str]:
        keys, homes = self._cluster.keys, []
        for pool in await redis.zrange(keys.pools, 0, -1):
            for job in await redis.zrange(keys.hold(pool), 0, -1):
                homes.append(await redis.hget(keys.job(job), "home"))
        return [home for home in homes if home is not None]

    async def _generating(self, redis: Any) -> list[str]:
        return list((await self._holders(redis)).values())

    async def _taken_over(self, redis: Any, worker: Process, within_s: float) -> None:
        """Return once another worker generates a turn of this one; at once if it has none.

        Raises:
            Missed: none does; a turn may have been cancelled.
        """
        # No timeout: before Python 3.12 a cancellation may get lost in a call of Redis.
        deadline = asyncio.get_running_loop().time() + within_s
        before = await self._holders(redis)
        held = {j: name for j, name in before.items() if self._cluster.known_worker(name) is worker}
        now = held
        while held and all(now.get(job, name) == name for job, name in held.items()):
            if asyncio.get_running_loop().time() > deadline:
                raise Missed
            await asyncio.sleep(_LOOK_S)
            now = await self._holders(redis)

    async def _holders(self, redis: Any) -> dict[str, str]:
        """The running turns, each with its worker."""
        keys, holders = self._cluster.keys, {}
        for job in await redis.zrange(keys.leases, 0, -1):
            if (worker := await redis.hget(keys.job(job), "worker")) is not None:
                holders[job] = worker
        return holders

    async def _keepers(self, redis: Any) -> list[str]:
        keeper = await redis.get(self._cluster.keys.keeper)
        return [] if keeper is None else [keeper]
