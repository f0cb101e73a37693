"""From which cells a worker takes turns."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.cells import Cells
from shared.store.keys import Keys

_PATIENCE_S: Final = 2.0
"""How long a worker that starts waits for one that is away."""


async def cells_to_serve(cells: Cells, clients: Sequence[Redis], number: int) -> Sequence[int]:
    """So many cells, those that have the fewest workers: none is left without. All for 0."""
    if number == 0 or number >= cells.number:
        return cells.all
    keys = [Keys(settings.keyspace) for settings in cells.settings]
    counts = await asyncio.gather(
        *(_answer(redis.zcard(each.workers)) for redis, each in zip(clients, keys, strict=True))
    )
    # Workers that start together see the same counts: each begins where the one before has ended.
    first = number * await _answer(clients[0].incr(keys[0].served))
    in_turn = [(first + step) % cells.number for step in cells.all]
    return sorted(sorted(in_turn, key=counts.__getitem__)[:number])


async def _answer(call: Awaitable[int]) -> int:
    """What Redis answers; 0 if that cell is away."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await call
    except (TimeoutError, RedisError, OSError):
        return 0
