"""What goes wrong during a storm, at random, from a seed."""

import asyncio
import contextlib
import random
import signal
from collections.abc import Awaitable, Callable
from typing import Final

from tests.faults.aimed import AimedFaults, Missed
from tests.faults.cluster import Cluster, Process
from tests.faults.kept import KeptValkey
from tests.faults.ledger import Ledger
from tests.faults.node_faults import NodeFaults
from tests.faults.redis_cluster import RedisCluster

_CALM_S: Final = 0.8
"""Between two faults, on average."""

_LONG_HANG_S: Final = 20.0
_FLUSHES: Final = 50

Fault = Callable[[], Awaitable[None]]


class Storm:
    """Injects faults into a cluster, one after the other, each healed in the end.

    Args:
        lease_s: of the workers: pauses are shorter and longer than it.
        outage_s: how long Redis is gone once, in the middle; 0 for never.
        only: kinds of faults; None for all.
    """

    def __init__(
        self,
        cluster: Cluster,
        ledger: Ledger,
        *,
        seed: int,
        lease_s: float,
        outage_s: float = 0.0,
        only: frozenset[str] | None = None,
    ) -> None:
        self._cluster = cluster
        self._ledger = ledger
        self._random = random.Random(f"storm {seed}")
        self._lease_s = lease_s
        self._outage_s = outage_s
        kinds = self._of_processes() | AimedFaults(cluster, self._random, lease_s).kinds
        if isinstance(cluster.server, RedisCluster):
            keyspaces = [cluster.keys_of(cell).namespace for cell in cluster.cells.all]
            kinds |= NodeFaults(cluster.server, keyspaces, self._random).kinds
        else:
            kinds |= self._of_one_server()
        self._kinds = {k: v for k, v in kinds.items() if only is None or k in only}

    def _of_processes(self) -> dict[str, tuple[Fault, int]]:
        return {
            "worker killed": (self._worker_killed, 5),
            "worker paused": (self._worker_paused, 5),
            "worker stopped": (self._worker_stopped, 3),
            "API killed": (self._api_killed, 1),
            "API stopped": (self._api_stopped, 2),
            "scripts forgotten": (self._scripts_forgotten, 2),
        }

    def _of_one_server(self) -> dict[str, tuple[Fault, int]]:
        """Of the server, and of the ways to it."""
        return {
            "worker cut off": (self._worker_cut_off, 3),
            "worker's packets delayed": (self._worker_stalled, 3),
            "API cut off": (self._api_cut_off, 1),
            "Redis killed": (self._redis_killed, 2),
            "Redis paused": (self._redis_paused, 1),
            "TLS hangs": (self._tls_hangs, 2),
            "all told to stop": (self._all_told_to_stop, 2),
        }

    async def rage(self, at_least: int, is_over: Callable[[], bool]) -> None:
        """One fault after the other: so many, and on until it is over."""
        while (count := sum(self._ledger.faults.values())) < at_least or not is_over():
            if count == at_least // 2 and self._outage_s > 0:
                await self._outage()
            await asyncio.sleep(self._random.expovariate(1 / _CALM_S))
            names = list(self._kinds)
            weights = [self._kinds[name][1] for name in names]
            name = self._random.choices(names, weights)[0]
            with contextlib.suppress(Missed):
                await self._kinds[name][0]()
                self._ledger.count(name)

    def _worker(self) -> Process:
        return self._random.choice(self._cluster.workers)

    def _api(self) -> Process:
        return self._random.choice(self._cluster.apis)

    async def _pause(self, longest_s: float) -> None:
        await asyncio.sleep(self._random.uniform(0.05, longest_s))

    async def _stop(self, process: Process) -> None:
        status = await process.stop()
        # One that only just starts has no handler for the signal yet, and nothing to hand over.
        assert status in (0, -signal.SIGTERM), f"status {status}\n{process.output[-3000:]}"

    async def _worker_killed(self) -> None:
        worker = self._worker()
        worker.kill()
        await self._pause(1.0)
        worker.start()

    async def _worker_paused(self) -> None:
        """Longer than its lease, mostly: others take its turns over, and then it wakes up."""
        worker = self._worker()
        worker.send(signal.SIGSTOP)
        await self._pause(2 * self._lease_s)
        worker.send(signal.SIGCONT)

    async def _worker_stopped(self) -> None:
        worker = self._worker()
        await self._stop(worker)
        worker.start()

    async def _worker_cut_off(self) -> None:
        worker = self._worker()
        worker.partition.cut()
        await self._pause(1.5 * self._lease_s)
        worker.partition.heal()

    async def _worker_stalled(self) -> None:
        worker = self._worker()
        worker.partition.stall()
        await self._pause(1.5 * self._lease_s)
        worker.partition.heal()

    async def _api_killed(self) -> None:
        api = self._api()
        api.kill()
        api.start()

    async def _api_stopped(self) -> None:
        api = self._api()
        await self._stop(api)
        api.start()

    async def _api_cut_off(self) -> None:
        api = self._api()
        api.partition.cut()
        await self._pause(1.0)
        api.partition.heal()

    async def _redis_killed(self) -> None:
        self._cluster.valkey.kill()
        await self._pause(1.5)
        await asyncio.to_thread(self._cluster.valkey.start)

    async def _tls_hangs(self) -> None:
        """In whatever it was about; mostly longer than answers and connections may take."""
        partitions = [one.partition for one in self._cluster.processes if one.partition.is_tls]
        partition = self._random.choice(partitions)
        partition.stall()
        await self._pause(_LONG_HANG_S)
        partition.heal()

    async def _scripts_forgotten(self) -> None:
        async with self._cluster.loaded_redis() as redis:
            for _ in range(_FLUSHES):
                await redis.script_flush()
                await asyncio.sleep(self._random.uniform(0, 0.02))

    async def _all_told_to_stop(self) -> None:
        """At once, the server included: nobody keeps a turn, so that nothing is charged."""
        workers = {one.pid for one in self._cluster.workers if one.is_running}
        valkey = self._cluster.valkey
        assert isinstance(valkey, KeptValkey)
        valkey.tell()
        for process in self._cluster.processes:
            process.send(signal.SIGTERM)
        await asyncio.gather(*map(self._stop, self._cluster.processes))
        await asyncio.to_thread(valkey.wait)
        await asyncio.to_thread(valkey.start)
        self._ledger.kept += await self._cluster.held_by(workers)
        for process in self._cluster.processes:
            process.start()

    async def _outage(self) -> None:
        self._ledger.count(f"Redis gone for {self._outage_s:g} s")
        self._cluster.valkey.kill()
        await asyncio.sleep(self._outage_s)
        await asyncio.to_thread(self._cluster.valkey.start)

    async def _redis_paused(self) -> None:
        self._cluster.valkey.hang()
        await self._pause(1.5)
        self._cluster.valkey.go_on()
