"""Connections to Redis: where the server is, how to reach it, when it is there."""

import asyncio
import builtins
import contextlib
import logging
import socket
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from shared.config import Settings
from shared.data_folder import check_private, socket_path
from shared.errors import ConfigError
from shared.store.cluster import ClusterRedis, following
from shared.store.pool import BoundedPool, BoundedSentinelPool, cut
from shared.trouble import Trouble

log = logging.getLogger(__name__)

trouble = Trouble(log, "Redis")
"""Where all parts of a process report calls that failed and will be repeated."""

REDIS_UNAVAILABLE = (
    ConnectionError,
    TimeoutError,
    BusyLoadingError,
    ReadOnlyError,
    builtins.ConnectionError,
)
"""Raised while the server is gone, starting or failing over."""

_PASSING = ("OOM", "MISCONF", "NOREPLICAS", "MASTERDOWN", "BUSY", "LOADING", "READONLY")
"""First words of refusals that pass, such as those for lack of memory or during a failover."""

_PORT = 6379
_SENTINEL_PORT = 26379
_OF_PIPELINE = "of pipeline caused error: ('"
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 1.0
_CONNECT_TIMEOUT_S = 5.0
_REPLY_TIMEOUT_S = 20.0
"""Longer than any answer takes: only a dead connection runs into it. Reads that block have more."""
_POOL_WAIT_S = 5.0
_KEEPALIVE = {
    getattr(socket, name): value
    for name, value in {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}.items()
    if hasattr(socket, name)
}
"""A peer is taken for gone after half a minute without a sign of life, in seconds and tries."""


def will_pass(error: Exception) -> bool:
    """Whether the same call may succeed later."""
    if isinstance(error, (*REDIS_UNAVAILABLE, OutOfMemoryError)):
        return True
    return isinstance(error, ResponseError) and _said(error).startswith(_PASSING)


def is_without_replicas(error: RedisError) -> bool:
    """Whether the server does not write because too few replicas follow."""
    return _said(error).startswith("NOREPLICAS")


def _said(error: RedisError) -> str:
    """The server's own words; redis-py puts others before them if a pipeline was refused."""
    return str(error).rpartition(_OF_PIPELINE)[2]


def is_refusal(error: BaseException) -> bool:
    """Whether the server has refused, and repeating the call cannot change that."""
    if isinstance(error.__cause__, RedisError):  # so it comes from a connection by a socket
        return is_refusal(error.__cause__)
    if isinstance(error, AuthenticationError):
        return True
    return isinstance(error, ResponseError) and not will_pass(error)


def as_config_error(error: BaseException) -> ConfigError:
    """The refusal as an error that stops the start."""
    if isinstance(error.__cause__, RedisError):
        return as_config_error(error.__cause__)
    if isinstance(error, AuthenticationError):
        return ConfigError(f"REDIS_URL: the server refuses the credentials: {error}")
    if str(error).startswith(("MOVED", "ASK", "CLUSTERDOWN", "CROSSSLOT")):
        return ConfigError(
            f"REDIS_URL: the server is part of a Redis Cluster ({error}); name its nodes as "
            "redis+cluster://host:port,host:port"
        )
    return ConfigError(f"REDIS_URL: the server refuses what Palaver needs: {error}")


def redis_url(settings: Settings) -> str:
    """`REDIS_URL`, or the embedded server's socket.

    Raises:
        ConfigError: other users can use the socket's folder.
    """
    if settings.redis_url is not None:
        return settings.redis_url
    path = socket_path(settings.data_dir)
    check_private(path.parent)
    return f"unix://{path}"


def connect(settings: Settings, *, max_connections: int | None = None, **options: Any) -> Redis:
    """A client for the configured server; nothing is sent yet.

    `sentinel://[user:password@]host:port,host:port/service[?db=n]` asks Sentinels for the primary
    (`sentinels://` uses TLS to the Sentinels and to the primary).
    `redis+cluster://[user:password@]host:port,host:port` asks a cluster's nodes for the primary of
    our slot (`rediss+cluster://` uses TLS).

    Args:
        max_connections: most connections; calls wait in line for one. None sets no bound.
        options: of the pool and its connections, in place of ours.
    """
    options = {
        "decode_responses": True,
        "socket_connect_timeout": _CONNECT_TIMEOUT_S,
        "socket_timeout": _REPLY_TIMEOUT_S,
        "health_check_interval": 0,
        # Not sent: a server that refuses us would already refuse this, and close.
        "lib_name": None,
        "lib_version": None,
        **options,
    }
    pools: tuple[type[ConnectionPool], type[SentinelConnectionPool]]
    pools = ConnectionPool, SentinelConnectionPool
    if max_connections is not None:
        options = {"max_connections": max_connections, "wait_s": _POOL_WAIT_S, **options}
        pools = BoundedPool, BoundedSentinelPool
    url = redis_url(settings)
    if urlsplit(url).scheme != "unix":
        options |= {"socket_keepalive": True, "socket_keepalive_options": _KEEPALIVE}
    try:
        if urlsplit(url).scheme.startswith("sentinel"):
            return _from_sentinel(url, pools[1], options)
        if settings.is_on_cluster:
            return _from_cluster(url, settings.keyspace.strip("{}"), pools[0], options)
        pool = pools[0].from_url(url, **options)
        pool.connection_class = cut(pool.connection_class)
        # Unknown options are detected only when a connection is made.
        pool.make_connection()  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, RedisError) as error:
        raise ConfigError(f"REDIS_URL: {_without_secrets(error, url)}") from None
    return Redis.from_pool(pool)


def _without_secrets(error: Exception, url: str) -> str:
    """The error's text, unless it may contain a part of a password."""
    if "@" not in url and "password" not in url:
        return str(error)
    return (
        "not a valid address; in the user and the password, write # @ : / ? and % as %23 %40 %3A "
        "%2F %3F and %25"
    )


class _SentinelRedis(Redis):
    """A client that also closes its connections to the Sentinels."""

    watchers: Sentinel | None = None

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        for sentinel in self.watchers.sentinels if self.watchers is not None else ():
            await sentinel.aclose(close_connection_pool=True)


def _from_sentinel(url: str, pool: type[SentinelConnectionPool], options: dict[str, Any]) -> Redis:
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    service = parts.path.strip("/")
    if not service or not hosts:
        raise ConfigError("REDIS_URL: sentinel://host:port,host:port/service names the service")
    user, _, password = credentials.partition(":")
    if user or password:
        options |= {"username": unquote(user) or None, "password": unquote(password) or None}
    sentinel_options: dict[str, Any] = {
        "socket_connect_timeout": _CONNECT_TIMEOUT_S,
        "socket_timeout": _CONNECT_TIMEOUT_S,
    }
    if parts.scheme == "sentinels":
        options["ssl"] = sentinel_options["ssl"] = True
    addresses = [_address(host) for host in hosts.split(",")]
    db = parse_qs(parts.query).get("db", ["0"])[0]
    if not db.isdigit():
        raise ConfigError(f"REDIS_URL: db={db} is not a number")
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        addresses, sentinel_kwargs=sentinel_options
    )
    client: _SentinelRedis = sentinel.master_for(
        service,
        redis_class=_SentinelRedis,
        connection_pool_class=pool,
        db=int(db),
        **options,
    )
    for each in (client, *sentinel.sentinels):
        each.connection_pool.connection_class = cut(each.connection_pool.connection_class)
    client.watchers = sentinel
    return client


def _from_cluster(url: str, tag: str, pool: type[ConnectionPool], options: dict[str, Any]) -> Redis:
    parts = urlsplit(url)
    credentials, at, hosts = parts.netloc.rpartition("@")
    if not hosts or parts.path.strip("/") not in ("", "0"):
        raise ConfigError(
            "REDIS_URL: redis+cluster://host:port,host:port names nodes, and no database"
        )
    seeds = [_address(host, _PORT) for host in hosts.split(",")]
    # Of one node, whose credentials and options are those of all.
    scheme = parts.scheme.partition("+")[0]
    one = parse_url(f"{scheme}://{credentials}{at}localhost?{parts.query}")
    of_pool = {name: options.pop(name) for name in ("max_connections", "wait_s") if name in options}
    made = pool(**of_pool, **following(seeds, tag, **{**one, **options}))
    # Unknown options are detected only when a connection is made.
    made.make_connection()  # type: ignore[no-untyped-call]
    return ClusterRedis.from_pool(made)


def _address(text: str, usual_port: int = _SENTINEL_PORT) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    try:
        return (host.strip("[]"), int(port)) if host else (text, usual_port)
    except ValueError:
        raise ConfigError(f"REDIS_URL: {text!r} is not host:port") from None


async def wait_until_up(client: Redis, stopping: asyncio.Event) -> bool:
    """Return when the server answers; the wait is logged.

    Returns:
        False if `stopping` was set before.

    Raises:
        ConfigError: the server refuses us.
    """
    pause_s = _FIRST_PAUSE_S
    try:
        while not stopping.is_set():
            try:
                await client.ping()
                return True
            except (RedisError, OSError) as error:
                if is_refusal(error):
                    raise as_config_error(error) from None
                if pause_s >= _LONGEST_PAUSE_S:
                    trouble.met(error, "waiting")
                with contextlib.suppress(builtins.TimeoutError):
                    await asyncio.wait_for(stopping.wait(), pause_s)
                pause_s = min(_LONGEST_PAUSE_S, pause_s * 1.5)
        return False
    finally:
        trouble.over("waiting")
