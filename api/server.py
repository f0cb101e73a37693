"""The API process: settings, sockets, uvicorn, and how it stops."""

import asyncio
import contextlib
import logging
import resource
import socket
import sys
from collections.abc import Iterator
from typing import Any, Final

import uvicorn
import uvloop
from redis.asyncio import Redis

from api.app import Api, create_api
from api.http.connections import BoundedProtocol
from api.live.watch import FeedLost
from shared.cells import Cells
from shared.config import Settings
from shared.errors import EX_SOFTWARE, ConfigError, TaskEnded
from shared.process.exposure import check_exposure
from shared.process.logs import configure_logging
from shared.process.start import fail_start, settings_or_exit
from shared.process.supervisor import stop_on_signals
from shared.process.tasks import end, run_together
from shared.store.boot import check_server, until_alike, until_usable
from shared.store.cell_record import record_check
from shared.store.connection import REDIS_UNAVAILABLE, connect, trouble
from shared.store.keys import Keys
from shared.store.workers import Workers

_BACKLOG: Final = 2048
_COMMANDS: Final = 8
"""Connections for commands, however many clients wait."""
_REDIS_CONNECTIONS: Final = _COMMANDS + 1
"""One more is for pub/sub."""
_REDIS_REPLY_S: Final = 5.0
"""A server that has not answered by then hangs: no command here blocks on purpose."""
_DRAIN_S: Final = 3.0
"""Connections that are still open then are cut; honcho kills 5 s after the first exit."""
_READY_POLL_S: Final = 0.2


class Server(uvicorn.Server):
    """uvicorn without signal handlers of its own: `_stop_when` stops it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def quiet_broken_streams(record: logging.LogRecord) -> bool:
    """A log filter: no tracebacks for streams that end because we stop or Redis is unavailable."""
    return not (record.exc_info and isinstance(record.exc_info[1], (FeedLost, *REDIS_UNAVAILABLE)))


def bind(settings: Settings) -> socket.socket:
    """Open the listening socket.

    Raises:
        ConfigError: the port is busy, or the address does not belong to this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ConfigError(f"HOST={settings.host}: {error.strerror}") from None
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"PORT={settings.port}: cannot listen on {settings.host}: {error.strerror}"
        ) from None
    return listener


def connect_api(settings: Settings, **options: Any) -> Redis:
    """The Redis client of an API process; `options` as for `connect`."""
    options = {"socket_timeout": _REDIS_REPLY_S, **options}
    return connect(settings, max_connections=_REDIS_CONNECTIONS, **options)


def connect_cells(cells: Cells, **options: Any) -> list[Redis]:
    """A client for each cell of a namespace; those on one server share it."""
    if cells.number == 1:
        return [connect_api(cells.settings[0], **options)]
    clients: dict[str, Redis] = {}
    for settings in cells.settings:
        # On a cluster connections follow the slot of one cell.
        where = settings.keyspace if settings.is_on_cluster else settings.redis_url or ""
        if where not in clients:
            here = 1 if settings.is_on_cluster else cells.number
            bound = {"max_connections": _COMMANDS + here, "socket_timeout": _REDIS_REPLY_S}
            clients[where] = connect(settings, **{**bound, **options})
    return [
        clients[each.keyspace if each.is_on_cluster else each.redis_url or ""]
        for each in cells.settings
    ]


async def serve(
    settings: Settings, listener: socket.socket, http: type[BoundedProtocol] = BoundedProtocol
) -> None:
    """Serve until SIGTERM or SIGINT, then answer all waiting clients and end.

    Args:
        http: the protocol, with its limits and timeouts.

    Raises:
        ExceptionGroup: with a `ConfigError`: Redis cannot be used as it is.
        TaskEnded: a background task has ended; waiting clients have been answered.
    """
    draining = asyncio.Event()
    stop_on_signals(draining)
    cells = Cells(settings)
    clients = connect_cells(cells)
    async with create_api(settings, *clients) as api:
        config = uvicorn.Config(
            api.app,
            http=http,
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=int(_DRAIN_S),
        )
        server = Server(config)
        for part in api.readiness.parts:
            part.is_starting = True
        await run_together(
            server.serve(sockets=[listener]),
            _stop_when(draining, server, api),
            _greet_when_ready(settings, api),
            *(_start_in(cells, cell, settings, clients[cell], api, draining) for cell in cells.all),
        )
        if api.background.failure is not None:
            raise api.background.failure


async def _stop_when(draining: asyncio.Event, server: Server, api: Api) -> None:
    stopping = asyncio.create_task(draining.wait(), name="until stopped")
    failing = asyncio.create_task(api.background.until_failed(), name="until a task has ended")
    await asyncio.wait({stopping, failing}, return_when=asyncio.FIRST_COMPLETED)
    await end(stopping, failing)
    api.feed.stop_readers()
    server.should_exit = True


async def _greet_when_ready(settings: Settings, api: Api) -> None:
    """Print the address and something to try once a prompt would be answered."""
    while await api.readiness.missing() is not None:  # noqa: ASYNC110 - Redis has no event for it
        await asyncio.sleep(_READY_POLL_S)
    _greet(settings)


def _greet(settings: Settings) -> None:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    host = f"[{host}]" if ":" in host else host
    address = f"http://{host}:{settings.port}"
    print(
        f"\nPalaver is ready on {address} - open it in a browser, or try:\n"
        f'  curl {address} -d \'{{"prompt": "Who are you?"}}\'\n',
        flush=True,
    )


async def _start_in(
    cells: Cells, cell: int, whole: Settings, redis: Redis, api: Api, draining: asyncio.Event
) -> None:
    """Count a cell as ready once its server has been checked, and its workers."""
    settings = cells.settings[cell]
    checks = check_server, record_check(cells, cell, whole)
    if await until_usable(
        redis, Keys(settings.keyspace), settings, draining, *checks
    ) and await _is_alike(settings, redis, draining):
        api.readiness.parts[cell].is_starting = False


async def _is_alike(settings: Settings, redis: Redis, draining: asyncio.Event) -> bool:
    """Wait until all living workers have our window; False if the process is to stop.

    Raises:
        ConfigError: a worker has another window, and keeps running.
    """
    length = settings.context_length
    if "context_length" not in settings.model_fields_set:
        # Ours is the default: workers on other machines may be configured differently.
        return True
    workers = Workers(redis, Keys(settings.keyspace))
    while not draining.is_set():
        try:
            return await until_alike(lambda: workers.of_other_length(length), length, draining)
        except REDIS_UNAVAILABLE as error:
            trouble.met(error)
            await asyncio.sleep(_READY_POLL_S)
    return False


def allow_many_connections() -> None:
    """Every waiting client is an open file: allow as many as the system does."""
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS enforces less than it reports
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def main(http: type[BoundedProtocol] = BoundedProtocol) -> None:
    """Run an API process.

    Args:
        http: the protocol, with its limits and timeouts.
    """
    status = 0
    settings = settings_or_exit()
    configure_logging(settings.log_level, settings.log_format)
    allow_many_connections()
    logging.getLogger("uvicorn.error").addFilter(quiet_broken_streams)
    try:
        check_exposure(settings)
        listener = bind(settings)
        uvloop.run(serve(settings, listener, http))
    except* ConfigError as errors:
        fail_start(ConfigError("\n".join(map(str, errors.exceptions))))
    except* TaskEnded:
        status = EX_SOFTWARE  # the log has said why
    sys.exit(status)


if __name__ == "__main__":
    main()
