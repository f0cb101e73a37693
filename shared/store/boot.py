"""Checks before a Redis server is used: the server itself, and the workers that use it."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ConnectionError, ReadOnlyError, RedisError

from shared.config import Settings
from shared.errors import ConfigError
from shared.store.connection import as_config_error, is_refusal, trouble, wait_until_up
from shared.store.data_format import OLDEST_FORMAT, READABLE_FORMATS
from shared.store.keys import Keys
from shared.store.scripts import Scripts
from shared.wire.other_worker import OtherWorker

log = logging.getLogger(__name__)

OLDEST_SERVER: Final = (6, 2)
OLDEST_CLUSTER: Final = (7, 0)
"""The first one where what is published stays with the nodes of a slot."""
_NOBODY: Final = "nobody"
"""As whom names are tried."""
_ANSWER_S: Final = 5.0

_AGAIN_S: Final = 0.2
_FAILOVER_S: Final = 10.0
"""A server that is a replica for longer is not about to become the primary."""


Check = Callable[[Redis, Keys, Settings], Awaitable[None]]
"""Raises what a server answers that does not do."""


async def until_usable(
    redis: Redis, keys: Keys, settings: Settings, stopping: asyncio.Event, *checks: Check
) -> bool:
    """Return when the server answers and has passed all checks; passing trouble is waited out.

    Args:
        checks: `check_server` if none is given.

    Returns:
        False if `stopping` was set before.

    Raises:
        ConfigError: it refuses what we need, and repeating will not help.
    """
    since: float | None = None
    try:
        while await wait_until_up(redis, stopping):
            try:
                with refusals_end_the_start():
                    for check in checks or (check_server,):
                        await check(redis, keys, settings)
                return True
            except ReadOnlyError as error:
                since = since or time.monotonic()
                if time.monotonic() - since > _FAILOVER_S:
                    raise ConfigError(f"REDIS_URL: {error}; name the primary") from None
                trouble.met(error, "start")
            except (RedisError, OSError) as error:
                trouble.met(error, "start")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), _AGAIN_S)
        return False
    finally:
        trouble.over("start")


@contextlib.contextmanager
def refusals_end_the_start() -> Iterator[None]:
    """Turn refusals that repeating cannot change into a `ConfigError`."""
    try:
        yield
    except RedisError as error:
        if not is_refusal(error):
            raise
        raise as_config_error(error) from None


_ASK_AGAIN_S: Final = 1.0


async def until_alike(
    find: Callable[[], Awaitable[OtherWorker | None]],
    context_length: int,
    stopping: asyncio.Event,
) -> bool:
    """Wait until no live worker has another model or window; False if `stopping` was set before.

    Args:
        find: returns such a worker, if there is one.
        context_length: our own `PALAVER_CONTEXT_LENGTH`.

    Raises:
        ConfigError: such a worker stays alive.
    """
    deadline: float | None = None
    while not stopping.is_set():
        other = await find()
        if other is None:
            return True
        if deadline is None:
            # It may have ended, and still count as alive.
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
    """Check that the server keeps its data, and that we can read what it has.

    INFO is enough: managed servers refuse CONFIG.

    Raises:
        ConfigError: the server is too old, would drop conversations, or is or is not part of a
            cluster, other than the URL says; or
            another version's data are there.
        ReadOnlyError: it is a replica.
        ConnectionError: replicas are missing (`PALAVER_REPLICAS`).
    """
    if settings.is_on_cluster:
        # A node that lost its role to its replica answers INFO; of our keys it names who has them.
        await redis.exists(keys.probe)
    info = await redis.info()
    version = str(info.get("redis_version", ""))
    oldest = OLDEST_CLUSTER if settings.is_on_cluster else OLDEST_SERVER
    if _numbers(version) < oldest:
        kind = "cluster" if settings.is_on_cluster else "server"
        needed = ".".join(map(str, oldest))
        raise ConfigError(
            f"REDIS_URL: the {kind} is version {version}; needed is {needed} or newer"
        )
    _check_role(info, settings)
    _check_replicas(info, settings.replicas)
    _check_policy(str(info.get("maxmemory_policy", "noeviction")), settings)
    if not int(info.get("aof_enabled", 0)):
        log.warning(
            "Redis has no append-only file: if it crashes, everything since its last snapshot is "
            "lost (set appendonly yes)"
        )
    await _check_user(redis, keys)
    # Written only if it is missing: the start must succeed while memory is short, too.
    schema = await redis.get(keys.schema)
    if schema is None:
        await redis.set(keys.schema, OLDEST_FORMAT, nx=True)
        schema = await redis.get(keys.schema)
    if schema is not None and schema not in READABLE_FORMATS:
        raise ConfigError(
            f"the data in Redis have format {schema}, this version of Palaver reads "
            f"{' and '.join(READABLE_FORMATS)}; use the version that wrote them, or another "
            "PALAVER_NAMESPACE"
        )


async def _check_user(redis: Redis, keys: Keys) -> None:
    """Whether we may run scripts, and hear what is published."""
    await Scripts(redis, keys, "silence").call("silence")
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(keys.notices(_NOBODY))
        # The refusal is the answer.
        await pubsub.get_message(timeout=_ANSWER_S)


async def check_worker(redis: Redis, keys: Keys, _settings: Settings) -> None:
    """Check that we may do what workers do besides; they would only retry it for ever.

    Raises:
        ResponseError: we may not.
    """
    await redis.xread({keys.bells(_NOBODY): "0"}, count=1)
    await redis.client_unblock(await redis.client_id())
    await redis.xrange(keys.events(_NOBODY), count=1)


def _check_role(info: dict[str, Any], settings: Settings) -> None:
    is_of_cluster = bool(int(info.get("cluster_enabled", 0)))
    if is_of_cluster and not settings.is_on_cluster:
        raise ConfigError(
            "REDIS_URL: the server is part of a Redis Cluster; name its nodes as "
            "redis+cluster://host:port,host:port"
        )
    if settings.is_on_cluster and not is_of_cluster:
        raise ConfigError(
            "REDIS_URL: the server is not part of a cluster; name it as redis://host:port"
        )
    if info.get("role") == "slave":
        primary = f"{info.get('master_host')}:{info.get('master_port')}"
        raise ReadOnlyError(f"the server is a read-only replica of {primary}")


def _check_replicas(info: dict[str, Any], wanted: int) -> None:
    """Whether as many replicas as are wanted follow, and whether nothing is written without them.

    The second shows in a field that INFO only has then.

    Raises:
        ConfigError: the server would write without them.
        ConnectionError: some are missing.
    """
    if wanted == 0:
        return
    good = info.get("min_slaves_good_slaves")
    if good is None:
        raise ConfigError(
            f"PALAVER_REPLICAS={wanted}: the server would accept writes that no replica gets; set "
            f"its min-replicas-to-write to {wanted} and min-replicas-max-lag to some seconds"
        )
    if int(good) < wanted:
        raise ConnectionError(f"{good} of {wanted} replicas follow (PALAVER_REPLICAS)")


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
