"""Commands that ask Redis itself, on any machine that has its address."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from api.http.keys import KeyFile
from shared.cells import Cells
from shared.config import Settings, load_settings
from shared.environment import DEFAULT_PORT
from shared.errors import EX_CONFIG, ConfigError, PalaverError
from shared.store.all_cells import AllOperatedTurns, AllUsage, AllWorkers
from shared.store.connection import connect
from shared.store.keys import Keys
from shared.store.operated_turns import OperatedTurns
from shared.store.submissions import Submissions
from shared.store.usage import Usage
from shared.store.workers import Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """What commands read and change in Redis, in all cells."""

    settings: Settings
    workers: Workers
    turns: OperatedTurns
    usage: Usage


def run_with_redis(command: Callable[[Store], Awaitable[None]]) -> int:
    """Run a command; returns the exit status."""
    try:
        asyncio.run(_call(command))
    except ConfigError as error:
        return _fail(error, EX_CONFIG)
    except PalaverError as error:
        return _fail(error, 1)
    except BrokenPipeError:  # standard output's
        raise
    except (RedisError, OSError) as error:
        return _fail(f"Redis is not reachable ({error})", 1)
    return 0


def _fail(reason: object, status: int) -> int:
    print(f"palaver: {reason}", file=sys.stderr)
    return status


def key_names(store: Store) -> Mapping[str, str]:
    """The names of API keys by owner, where this machine has their file.

    Raises:
        ConfigError: the file is set, and cannot be read.
    """
    path = store.settings.api_keys_file
    return {} if path is None else {key.id: key.name for key in KeyFile(path).read().keys}


def print_json(value: Mapping[str, Any]) -> None:
    """For programs, and to be looked at."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


async def _call(command: Callable[[Store], Awaitable[None]]) -> None:
    async with _store() as store:
        await command(store)


@contextlib.asynccontextmanager
async def _store() -> AsyncIterator[Store]:
    # The port is the API's, and may be wrong here.
    settings = load_settings(PORT=DEFAULT_PORT)
    cells = Cells(settings)
    async with contextlib.AsyncExitStack() as clients:
        parts = [
            _store_of(of_cell, await clients.enter_async_context(connect(of_cell)))
            for of_cell in cells.settings
        ]
        if cells.number == 1:
            yield parts[0]
            return
        yield Store(
            settings=settings,
            workers=cast(Workers, AllWorkers(cells, [part.workers for part in parts])),
            turns=cast(OperatedTurns, AllOperatedTurns(cells, [part.turns for part in parts])),
            usage=cast(Usage, AllUsage(cells, [part.usage for part in parts])),
        )


def _store_of(settings: Settings, redis: Redis) -> Store:
    """What there is in one cell."""
    keys = Keys(settings.keyspace)
    submissions = Submissions(redis, keys, settings)
    return Store(
        settings=settings,
        workers=Workers(redis, keys),
        turns=OperatedTurns(redis, keys, submissions),
        usage=Usage(redis, keys),
    )
