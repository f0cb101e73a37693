"""What must be right before anything is kept on a Redis server: the server, and who works there."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from redis.asyncio import Redis

from shared.config import Settings
from shared.errors import ConfigError
from shared.keys import Keys
from shared.turn_values import OtherWorker

log = logging.getLogger(__name__)

SCHEMA: Final = "1"
"""Changes when a version could not read what another one wrote."""

OLDEST_SERVER: Final = (6, 2)


_ASK_AGAIN_S: Final = 1.0


async def until_alike(
    find: Callable[[], Awaitable[OtherWorker | None]],
    context_length: int,
    stopping: asyncio.Event,
) -> bool:
    """Wait until no living worker has another model or window; False if told to stop before.

    Args:
        find: returns one that has.
        context_length: our own `PALAVER_CONTEXT_LENGTH`.

    Raises:
        ConfigError: one has, and goes on living.
    """
    deadline: float | None = None
    while not stopping.is_set():
        other = await find()
        if other is None:
            return True
        if deadline is None:
            # It may be gone already, and not yet forgotten.
            deadline = time.monotonic() + other.known_for_s + _ASK_AGAIN_S
            log.warning("%s: waiting", other.described(context_length))
        elif time.monotonic() > deadline:
            raise ConfigError(
                f"{other.described(context_length)} on this queue; all must have the same: stop it "
                "first, or give this one another PALAVER_NAMESPACE"
            )
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), _ASK_AGAIN_S)
    return False


async def check_server(redis: Redis, keys: Keys, settings: Settings) -> None:
    """See that the server keeps what it is given, and that what it holds is ours to read.

    Managed servers refuse CONFIG; INFO they all answer.

    Raises:
        ConfigError: the server is too old or would drop conversations, or another version's data
            are there.
    """
    info = await redis.info()
    version = str(info.get("redis_version", ""))
    if _numbers(version) < OLDEST_SERVER:
        raise ConfigError(f"REDIS_URL: the server is version {version}; needed is 6.2 or newer")
    _check_policy(str(info.get("maxmemory_policy", "noeviction")), settings)
    if not int(info.get("aof_enabled", 0)):
        log.warning(
            "Redis keeps no append-only file: what was said since its last snapshot is lost when "
            "it crashes (appendonly yes)"
        )
    # Not written where it stands already: the start must succeed while memory is short, too.
    found = await redis.get(keys.schema)
    if found is None:
        await redis.set(keys.schema, SCHEMA, nx=True)
        found = await redis.get(keys.schema)
    if found is not None and found != SCHEMA:
        raise ConfigError(
            f"the data in Redis have format {found}, this version of Palaver reads {SCHEMA}; use "
            "the version that wrote them, or another PALAVER_NAMESPACE"
        )


def _check_policy(policy: str, settings: Settings) -> None:
    if policy.startswith("allkeys-"):
        raise ConfigError(
            f"REDIS_URL: with maxmemory-policy {policy} the server drops conversations when memory "
            "is short; set it to noeviction"
        )
    if policy.startswith("volatile-") and settings.conversation_ttl > 0:
        raise ConfigError(
            f"REDIS_URL: with maxmemory-policy {policy} and PALAVER_CONVERSATION_TTL="
            f"{settings.conversation_ttl:g} the server drops conversations before their time; set "
            "the policy to noeviction, or the time to 0"
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
