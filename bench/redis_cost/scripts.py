"""Times of the scripts, by how many owners wait: of this version, or of the one before in its tree.

    python -m bench.redis_cost.scripts [--before] --owners 1000

Prints the times as JSON.
"""

import argparse
import asyncio
import contextlib
import inspect
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from typing import Any, Final

import orjson
import uvloop

from bench.redis_cost.busy import CELLS
from bench.redis_cost.sides import Before, Now, Side
from bench.redis_cost.timing import PERCENTILES, Timing, quietest, timed
from shared.store.connection import connect
from shared.store.keys import Keys
from tests.integration.bench import Bench
from tests.servers import make_settings, running_valkey

ROUNDS: Final = 4
"""The quietest counts: other processes disturb the rest."""
TIMES: Final = 100
SLOTS: Final = 8
IN_A_CELL: Final = SLOTS // CELLS
WATCHED: Final = 1_000
LOOKED_UP: Final = 100
"""As `api.live.places` does."""
AT_ONCE: Final = 16
UNBOUNDED: Final = 1_000_000

Timings = dict[str, Timing]


class Measurement:
    """Times the scripts while so many owners wait; their number stays the same."""

    def __init__(self, redis: Any, keys: Keys, side: Side, owners: int) -> None:
        self._redis, self._keys, self._side = redis, keys, side
        self._owners = itertools.cycle([f"owner{number:05}" for number in range(owners)])
        self._waiting: list[str] = []

    async def fill(self, turns: int) -> None:
        """At least so many turns wait."""
        for _ in range(0, turns, AT_ONCE):
            await asyncio.gather(*(self._submit() for _ in range(AT_ONCE)))

    async def _submit(self) -> None:
        self._waiting.append(await self._side.submit(next(self._owners)))

    async def round(self) -> Timings:
        """Each script, some times: turns begin, live and end."""
        claims: list[Any] = []

        async def take() -> None:
            claims.append(await self._side.take())

        async def time(times: int, call: Any) -> Timing:
            return await timed(self._redis, times, call)

        side, timings = self._side, Timings()
        timings["submit"] = await time(TIMES, lambda _: self._submit())
        timings["take"] = await time(TIMES, lambda _: take())
        running = claims[:SLOTS]
        timings["beat"] = await time(TIMES, lambda _: side.beat(running))
        timings["publish"] = await time(TIMES, lambda n: side.publish(running, n))
        async with self._followed(claims[SLOTS : 2 * SLOTS]) as followed:
            timings["publish, watched"] = await time(TIMES, lambda n: side.publish(followed, n))
            # Each piece begins where the last one of its reply has ended.
            half = followed[: SLOTS // 2]
            timings["publish, half"] = await time(
                TIMES, lambda n: side.publish(half, TIMES + 1 + n)
            )
            two = followed[-IN_A_CELL:]
            timings["publish, two watched"] = await time(
                TIMES, lambda n: side.publish(two, TIMES + 1 + n)
            )
        timings["publish, two"] = await time(
            TIMES, lambda n: side.publish(running[:IN_A_CELL], TIMES + 1 + n)
        )
        timings["publish one"] = await time(TIMES, lambda n: side.publish(claims[-1:], n))
        ending = iter(claims)
        timings["commit"] = await time(TIMES, lambda _: side.commit(next(ending)))
        last = self._waiting[-WATCHED:]
        timings["place"] = await time(TIMES, lambda _: side.places(last[-1:]))
        timings["places"] = await time(10, lambda _: side.places(last[-LOOKED_UP:]))
        timings["keep"] = await time(TIMES, lambda _: side.keep())
        timings["announce"] = await time(TIMES, lambda _: side.announce())
        return timings

    @contextlib.asynccontextmanager
    async def _followed(self, claims: Sequence[Any]) -> AsyncIterator[Sequence[Any]]:
        """An API process follows these turns."""
        async with self._redis.pubsub() as pubsub:
            await pubsub.subscribe(*(self._keys.doorbell(claim.job_id) for claim in claims))
            reading = asyncio.create_task(_drop(pubsub))
            yield claims
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def _drop(pubsub: Any) -> None:
    async for _ in pubsub.listen():
        pass


async def measure(owners: int, *, before: bool) -> Timings:
    with running_valkey(*PERCENTILES) as server:
        limits = {"PALAVER_QUEUE_LIMIT": UNBOUNDED, "PALAVER_LEASE": 3_600}
        settings = make_settings(server.url, **limits)
        async with connect(settings) as redis:
            keys = Keys(settings.namespace)
            bench = Bench(redis, keys, settings)
            side: Side = Before(bench) if before else Now(bench)
            await side.prepare()
            measurement = Measurement(redis, keys, side, owners)
            await measurement.fill(max(owners, WATCHED))
            return quietest([await measurement.round() for _ in range(ROUNDS)])


def main() -> None:
    parser = argparse.ArgumentParser(description=inspect.cleandoc(__doc__ or ""))
    parser.add_argument("--owners", type=int, required=True)
    parser.add_argument("--before", action="store_true")
    options = parser.parse_args()
    timings = uvloop.run(measure(options.owners, before=options.before))
    print(orjson.dumps({name: asdict(timing) for name, timing in timings.items()}).decode())


if __name__ == "__main__":
    main()
