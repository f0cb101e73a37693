"""How many cells a namespace has, written down in each of them.

With another number everything would be looked for where it is not.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import NoReturn

from redis.asyncio import Redis

from shared.cells import Cells
from shared.config import Settings
from shared.errors import ConfigError
from shared.store.boot import Check
from shared.store.connection import connect
from shared.store.keys import Keys


def record_check(cells: Cells, cell: int, whole: Settings) -> Check:
    """A check that a cell belongs to a namespace of as many cells; a new one is noted as such.

    Args:
        whole: settings of the namespace.
    """

    async def check(redis: Redis, keys: Keys, settings: Settings) -> None:
        if cells.number == 1:
            await _check_undivided(redis, settings)
            return
        record = await redis.get(keys.cells)
        if record is None:
            await _check_new(redis, cells, cell, whole)
            await redis.set(keys.cells, cells.number, nx=True)
            record = await redis.get(keys.cells)
        if record != str(cells.number):
            _refuse(settings, record)

    return check


async def _check_undivided(redis: Redis, settings: Settings) -> None:
    """Every namespace with cells has a first one."""
    first = settings.of_cell(0)
    async with _where(first, redis) as client:
        record = await client.get(Keys(first.keyspace).cells)
    if record is not None:
        _refuse(settings, record)


async def _check_new(redis: Redis, cells: Cells, cell: int, whole: Settings) -> None:
    """Nothing of the namespace may be there already that would not be found any more."""
    async with _where(whole, redis) as client:
        if await client.exists(Keys(whole.keyspace).schema):
            _refuse(whole, "1")
    if whole.is_on_cluster:
        return
    url = cells.settings[cell].redis_url
    for other in cells.all:
        of_other = cells.settings[other]
        if of_other.redis_url != url and await redis.exists(Keys(of_other.keyspace).cells):
            raise ConfigError(
                f"REDIS_URL: cell {other} is on the server that is to have cell {cell}: the list "
                "of servers, or its order, is not the one with which the data were written"
            )


@contextlib.asynccontextmanager
async def _where(settings: Settings, redis: Redis) -> AsyncIterator[Redis]:
    """A client for keys that may be in another slot of a cluster."""
    if not settings.is_on_cluster:
        yield redis
        return
    async with connect(settings, max_connections=1) as client:
        yield client


def _refuse(settings: Settings, record: str) -> NoReturn:
    raise ConfigError(
        f"PALAVER_CELLS={settings.cells}: the namespace {settings.namespace} was made with "
        f"{record}; set PALAVER_CELLS={record}, or use another PALAVER_NAMESPACE"
    )
