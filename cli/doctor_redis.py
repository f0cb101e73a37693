"""What `palaver doctor` says about Redis, and the workers that it knows."""

import contextlib
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from cli.finding import Finding
from shared.cells import Cells
from shared.config import Settings
from shared.data_folder import socket_path
from shared.errors import ConfigError
from shared.process.embedded import server_binary
from shared.store.boot import check_server, check_worker
from shared.store.cell_record import record_check
from shared.store.connection import connect
from shared.store.keys import Keys
from shared.store.pool import worker_connections
from shared.store.workers import WORKER_SILENCE_S, Workers
from shared.wire.worker_report import WorkerReport

_NEARLY_FULL: Final = 0.8
_MEBIBYTE: Final = 1 << 20


async def check_redis(settings: Settings) -> AsyncIterator[Finding]:
    """Whether the server answers, has room and persists its data; and the workers it knows."""
    if settings.redis_url is None and not socket_path(settings.data_dir).exists():
        yield _embedded()
        return
    cells = Cells(settings)
    for cell in cells.all:
        async for finding in _check_cell(cells, cell, settings):
            if cells.number > 1:
                finding = replace(finding, text=f"cell {cell}: {finding.text}")
            yield finding


async def _check_cell(cells: Cells, cell: int, whole: Settings) -> AsyncIterator[Finding]:
    settings = cells.settings[cell]
    with _warnings() as warnings:
        try:
            redis = connect(settings)
            try:
                for check in (check_server, record_check(cells, cell, whole), check_worker):
                    await check(redis, Keys(settings.keyspace), settings)
                info = await redis.info()
                yield _describe(info)
                if finding := durability_finding(info, settings):
                    yield finding
                async for finding in _workers(redis, settings, info):
                    yield finding
            finally:
                await redis.aclose(close_connection_pool=True)
        except ConfigError as error:
            yield Finding("bad", "Redis", str(error))
        except (RedisError, OSError) as error:
            yield _unreachable(settings, error)
    for warning in warnings:
        yield Finding("note", "Redis", warning)


def _unreachable(settings: Settings, error: Exception) -> Finding:
    if settings.redis_url is None:
        # A server that was killed leaves its socket behind; the next one replaces it.
        return _embedded()
    hint = "is it running, and is REDIS_URL right?"
    return Finding("bad", "Redis", f"is not reachable ({error}); {hint}")


def _embedded() -> Finding:
    try:
        server_binary()
    except ConfigError as error:
        return Finding("bad", "Redis", str(error))
    return Finding("note", "Redis", "the embedded server is not running; `palaver serve` starts it")


def _describe(info: Mapping[str, Any]) -> Finding:
    used, limit = int(info["used_memory"]), int(info.get("maxmemory", 0))
    available = f"{limit // _MEBIBYTE} MiB" if limit else "all memory of the machine"
    version = info.get("valkey_version") or info["redis_version"]
    kind = "a node of a cluster, " if int(info.get("cluster_enabled", 0)) else ""
    text = f"{kind}version {version}, {max(1, used // _MEBIBYTE)} MiB used of {available}"
    is_nearly_full = limit and used > _NEARLY_FULL * limit
    return Finding("note" if is_nearly_full else "ok", "Redis", text)


def durability_finding(info: Mapping[str, Any], settings: Settings) -> Finding | None:
    """What replicas are good for, if there are any."""
    replicas = [
        value for name, value in info.items() if name.startswith("slave") and name[5:].isdigit()
    ]
    if not replicas:
        return None
    behind_s = max(int(replica.get("lag", 0)) for replica in replicas)
    text = f"{len(replicas)} replicas, {behind_s} s behind at most"
    if settings.replicas:
        return Finding("ok", "Redis", f"{text}; clients are told what {settings.replicas} have")
    text += "; if one takes over, what it lacks is lost, told or not: see PALAVER_REPLICAS"
    return Finding("note", "Redis", text)


async def _workers(
    redis: Redis, settings: Settings, info: Mapping[str, Any]
) -> AsyncIterator[Finding]:
    workers = Workers(redis, Keys(settings.keyspace))
    reports, length = await workers.all(), settings.context_length
    if "context_length" in settings.model_fields_set:
        other = await workers.of_other_length(length)
        if other is not None:
            text = f"{other.described(length)}; all must have the same"
            yield Finding("bad", "workers", text)
            return
    if not reports:
        yield _none(await workers.silence_s())
        return
    models = ", ".join(sorted({report.model_name for report in reports.values()}))
    places = {report.engine.placement.described() for report in reports.values()}
    where = "".join(f", on {place}" for place in sorted(places) if place)
    yield Finding("ok", "workers", f"{len(reports)} running, with {models}{where}")
    for finding in connection_findings(reports, int(info.get("maxclients", 0))):
        yield finding


def _none(silence_s: float | None) -> Finding:
    if silence_s is None or silence_s > WORKER_SILENCE_S:
        return Finding("note", "workers", "none running; `palaver serve` starts one")
    return Finding(
        "note", "workers", f"none running; the last one was heard from {silence_s:.0f} s ago"
    )


def connection_findings(reports: Mapping[str, WorkerReport], limit: int) -> Iterator[Finding]:
    """Whether the server has connections for all workers.

    Args:
        limit: its `maxclients`; 0 if unknown.
    """
    needed = sum(worker_connections(report.slots) for report in reports.values())
    if limit and needed > _NEARLY_FULL * limit:
        yield Finding(
            "bad" if needed > limit else "note",
            "Redis",
            f"takes {limit:,} connections; {len(reports):,} workers need up to {needed:,}, and "
            "each API process 9: raise maxclients",
        )


@contextlib.contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collects the warnings logged meanwhile."""
    lines: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    collector, logger = Collector(logging.WARNING), logging.getLogger("shared")
    logger.addHandler(collector)
    try:
        yield lines
    finally:
        logger.removeHandler(collector)
