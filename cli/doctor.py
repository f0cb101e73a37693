"""`palaver doctor`: what would keep Palaver from starting or running well, and what to do."""

import asyncio
import contextlib
import errno
import json
import logging
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from redis.asyncio import Redis
from redis.exceptions import RedisError

from api.server import check_bind
from cli.client import Client, ServerError, Unreachable
from shared.config import Settings, load_settings
from shared.data_folder import socket_path
from shared.errors import ConfigError
from shared.process.embedded import server_binary
from shared.store.boot import check_server
from shared.store.connection import connect
from shared.store.keys import Keys
from shared.store.workers import WORKER_SILENCE_S, Workers

Verdict = Literal["ok", "note", "bad"]

_MARKS: Final = {"ok": "✓", "note": "·", "bad": "✗"}
_MODEL_S: Final = 120.0
_MEBIBYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was looked at."""

    verdict: Verdict
    about: str
    text: str

    def __str__(self) -> str:
        return f"{_MARKS[self.verdict]} {self.about:<9} {self.text}"


def doctor() -> int:
    """Print everything that was found; 1 if something keeps Palaver from running."""
    findings = asyncio.run(_everything())
    bad = sum(finding.verdict == "bad" for finding in findings)
    print("\nNothing stands in the way." if not bad else f"\n{bad} of these must be mended.")
    return int(bad > 0)


async def _everything() -> list[Finding]:
    found = []
    try:
        settings = load_settings()
    except ConfigError as error:
        found = [Finding("bad", "settings", line) for line in str(error).splitlines()]
        print("\n".join(map(str, found)))
        return found
    checks: tuple[Callable[[Settings], AsyncIterator[Finding]], ...]
    checks = check_settings, check_redis, check_model, check_port
    for check in checks:
        async for finding in check(settings):
            print(finding, flush=True)
            found.append(finding)
    return found


async def check_settings(settings: Settings) -> AsyncIterator[Finding]:
    """What they say, and who may reach the server with them."""
    try:
        check_bind(settings)
    except ConfigError as error:
        yield Finding("bad", "settings", str(error))
        return
    keys = "with API keys" if settings.api_keys_file else "open to everybody on this machine"
    if settings.allow_open:
        keys = "open to everybody who reaches it"
    yield Finding("ok", "settings", f"listens on {settings.host}:{settings.port}, {keys}")


async def check_redis(settings: Settings) -> AsyncIterator[Finding]:
    """Whether it is there, and keeps what it is given."""
    if settings.redis_url is None and not socket_path(settings.data_dir).exists():
        yield _embedded()
        return
    with _warnings() as warnings:
        try:
            redis = connect(settings)
            try:
                await check_server(redis, Keys(settings.namespace), settings)
                yield await _describe(redis)
                yield await _workers(redis, settings)
            finally:
                await redis.aclose(close_connection_pool=True)
        except ConfigError as error:
            yield Finding("bad", "Redis", str(error))
        except (RedisError, OSError) as error:
            yield _silent(settings, error)
    for warning in warnings:
        yield Finding("note", "Redis", warning)


def _silent(settings: Settings, error: Exception) -> Finding:
    if settings.redis_url is None:
        # A server that was killed leaves its socket behind; the next one takes its place.
        return _embedded()
    hint = "is it started, and is REDIS_URL right?"
    return Finding("bad", "Redis", f"does not answer ({error}); {hint}")


def _embedded() -> Finding:
    try:
        server_binary()
    except ConfigError as error:
        return Finding("bad", "Redis", str(error))
    return Finding("note", "Redis", "the embedded server is not running; `make run` starts it")


async def _describe(redis: Redis) -> Finding:
    info = await redis.info()
    used, most = int(info["used_memory"]), int(info.get("maxmemory", 0))
    limit = f"{most // _MEBIBYTE} MiB" if most else "as much as the machine has"
    version = info.get("valkey_version") or info["redis_version"]
    text = f"version {version}, {max(1, used // _MEBIBYTE)} MiB used of {limit}"
    return Finding("note" if most and used > 0.8 * most else "ok", "Redis", text)


async def _workers(redis: Redis, settings: Settings) -> Finding:
    workers = Workers(redis, Keys(settings.namespace))
    reports, silence_s = await workers.all(), await workers.silence_s()
    length = settings.context_length
    if "context_length" in settings.model_fields_set:
        other = await workers.of_other_length(length)
        if other is not None:
            text = f"{other.described(length)}; all must have the same"
            return Finding("bad", "workers", text)
    if reports:
        models = ", ".join(sorted({report.model_name for report in reports.values()}))
        places = {report.engine.placement.described() for report in reports.values()}
        where = "".join(f", on {place}" for place in sorted(places) if place)
        return Finding("ok", "workers", f"{len(reports)} at work, with {models}{where}")
    if silence_s is None or silence_s > WORKER_SILENCE_S:
        return Finding("note", "workers", "none is running; `make run` starts one")
    return Finding("note", "workers", f"none now; the last was heard of {silence_s:.0f} s ago")


async def check_model(_settings: Settings) -> AsyncIterator[Finding]:
    """In a process of its own: a file that crashes llama.cpp shall not take this one along."""
    command = [sys.executable, "-m", "worker.check"]
    try:
        done = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, timeout=_MODEL_S, check=False
        )
    except subprocess.TimeoutExpired:
        yield Finding("bad", "model", f"could not be read within {_MODEL_S:.0f} s")
        return
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        yield Finding("bad", "model", reason)
        return
    for finding in model_findings(json.loads(done.stdout.splitlines()[-1])):
        yield finding


def model_findings(found: dict[str, Any]) -> Iterator[Finding]:
    """What `worker.check` found, of the model and what it would run on."""
    size = f"{found['weights'] / 1e6:.0f} million weights, {found['bytes'] // _MEBIBYTE} MiB"
    yield Finding("ok", "model", f"{found['path']} ({size})")
    for remark in found["remarks"]:
        yield Finding("note", "model", remark)
    for gpu in found["gpus"]:
        free, total = gpu["free_bytes"] // _MEBIBYTE, gpu["total_bytes"] // _MEBIBYTE
        text = f"{gpu['description']} ({gpu['name']}), {free:,} of {total:,} MiB free"
        needed = found["bytes"] // _MEBIBYTE
        is_too_small = found["all_layers"] and needed > total
        if is_too_small or needed > free:
            # It may be full of our own worker.
            text = f"{text}: the model has {needed:,} MiB"
        verdict: Verdict = "bad" if is_too_small else "note" if needed > free else "ok"
        yield Finding(verdict, "GPU", text)
    if found["why_no_gpu"]:
        yield Finding("bad", "GPU", found["why_no_gpu"])
    elif not found["gpus"]:
        yield Finding("note", "GPU", "none; the CPU does the work")


async def check_port(settings: Settings) -> AsyncIterator[Finding]:
    """Whether it is free, or who is there."""
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                yield await asyncio.to_thread(_who_listens, settings)
            else:
                where = f"HOST={settings.host}, PORT={settings.port}"
                yield Finding("bad", "port", f"cannot listen on {where}: {error.strerror}")
            return
    yield Finding("ok", "port", f"{settings.port} is free; nothing is running there yet")


def _who_listens(settings: Settings) -> Finding:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    stranger = Finding(
        "bad", "port", f"{settings.port} is used by something else; PORT names another"
    )
    try:
        answer = Client(f"http://{host}:{settings.port}").get("/readyz")
    except ServerError as error:
        if error.status != 503:
            return stranger
        return Finding("bad", "server", f"runs on port {settings.port}, but: {error}")
    except (Unreachable, ValueError):
        return stranger
    if answer != {"status": "ready"}:
        return stranger
    return Finding("ok", "server", f"runs on port {settings.port} and is ready")


@contextlib.contextmanager
def _warnings() -> Iterator[list[str]]:
    """What is logged as a warning meanwhile, as lines to be shown."""
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
