"""Runs a command on the configured server, and tells how it ended."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

from redis.exceptions import RedisError

from shared.config import Settings, load_settings
from shared.environment import DEFAULT_PORT
from shared.errors import EX_CONFIG, ConfigError, PalaverError
from shared.store.archive import Archive
from shared.store.boot import check_server, refusals_end_the_start
from shared.store.connection import connect
from shared.store.keys import Keys

Command = Callable[[Archive, Settings], Awaitable[str]]
"""Returns what to tell when it is done."""


def run(command: Command) -> int:
    """Run a command; returns the exit status. Standard output is the command's own."""
    try:
        print(asyncio.run(_call(command)), file=sys.stderr)
    except ConfigError as error:
        print(f"palaver: {error}", file=sys.stderr)
        return EX_CONFIG
    except (PalaverError, OSError) as error:
        print(f"palaver: {error}", file=sys.stderr)
        return 1
    except RedisError as error:
        print(f"palaver: Redis refuses, or is not reachable ({error})", file=sys.stderr)
        return 1
    return 0


async def _call(command: Command) -> str:
    settings = load_settings(PORT=DEFAULT_PORT)
    if settings.cells > 1:
        raise ConfigError(
            f"PALAVER_CELLS={settings.cells}: backup, restore and export do not know cells; back "
            "up their servers"
        )
    redis, keys = connect(settings), Keys(settings.keyspace)
    try:
        with refusals_end_the_start():
            await check_server(redis, keys, settings)
        return await command(Archive(redis, keys, settings), settings)
    finally:
        await redis.aclose(close_connection_pool=True)
