"""What must be right about a Redis server before anything is kept there."""

import logging
from typing import Final

from redis.asyncio import Redis

from shared.config import Settings
from shared.errors import ConfigError
from shared.keys import Keys

log = logging.getLogger(__name__)

SCHEMA: Final = "1"
"""Changes when a version could not read what another one wrote."""

OLDEST_SERVER: Final = (6, 2)


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
