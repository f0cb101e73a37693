"""`palaver doctor`: finds what keeps Palaver from starting or running well, and how to fix it."""

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

from cli.client import PalaverClient, ServerError, Unreachable
from shared.config import Settings, load_settings
from shared.data_folder import socket_path
from shared.errors import ConfigError
from shared.process.embedded import server_binary
from shared.process.exposure import check_exposure
from shared.store.boot import check_server
from shared.store.connection import connect
from shared.store.keys import Keys
from shared.store.workers import WORKER_SILENCE_S, Workers

Verdict = Literal["ok", "note", "bad"]

_MARKS: Final = {"ok": "✓", "note": "·", "bad": "✗"}
_MODEL_CHECK_S: Final = 120.0
_NEARLY_FULL: Final = 0.8
_MEBIBYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        verdict: `bad` keeps Palaver from running.
        subject: what was checked, in a word.
        text: what was found and, if it is bad, how to fix it.
    """

    verdict: Verdict
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{_MARKS[self.verdict]} {self.subject:<9} {self.text}"


def doctor() -> int:
    """Print all findings; returns 1 if something keeps Palaver from running."""
    findings = asyncio.run(_run_checks())
    problems = sum(finding.verdict == "bad" for finding in findings)
    print(f"\n{_summary(problems)}")
    return int(problems > 0)


def _summary(problems: int) -> str:
    match problems:
        case 0:
            return "No problems found."
        case 1:
            return "1 problem to fix."
        case _:
            return f"{problems} problems to fix."


async def _run_checks() -> list[Finding]:
    try:
        settings = load_settings()
    except ConfigError as error:
        findings = [Finding("bad", "settings", line) for line in str(error).splitlines()]
        print(*findings, sep="\n")
        return findings
    findings = []
    checks: tuple[Callable[[Settings], AsyncIterator[Finding]], ...]
    checks = check_settings, check_redis, check_model, check_port
    for check in checks:
        async for finding in check(settings):
            print(finding, flush=True)
            findings.append(finding)
    return findings


async def check_settings(settings: Settings) -> AsyncIterator[Finding]:
    """The address to listen on, and who may use the server there."""
    try:
        check_exposure(settings)
    except ConfigError as error:
        yield Finding("bad", "settings", str(error))
        return
    keys = "with API keys" if settings.api_keys_file else "open to everybody on this machine"
    if settings.allow_open:
        keys = "open to everybody who can reach it"
    yield Finding("ok", "settings", f"listens on {settings.host}:{settings.port}, {keys}")


async def check_redis(settings: Settings) -> AsyncIterator[Finding]:
    """Whether the server answers, has room and persists its data; and the workers it knows."""
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
    return Finding("note", "Redis", "the embedded server is not running; `make run` starts it")


async def _describe(redis: Redis) -> Finding:
    info = await redis.info()
    used, limit = int(info["used_memory"]), int(info.get("maxmemory", 0))
    available = f"{limit // _MEBIBYTE} MiB" if limit else "all memory of the machine"
    version = info.get("valkey_version") or info["redis_version"]
    text = f"version {version}, {max(1, used // _MEBIBYTE)} MiB used of {available}"
    is_nearly_full = limit and used > _NEARLY_FULL * limit
    return Finding("note" if is_nearly_full else "ok", "Redis", text)


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
        return Finding("ok", "workers", f"{len(reports)} running, with {models}{where}")
    if silence_s is None or silence_s > WORKER_SILENCE_S:
        return Finding("note", "workers", "none running; `make run` starts one")
    return Finding(
        "note", "workers", f"none running; the last one was heard from {silence_s:.0f} s ago"
    )


async def check_model(_settings: Settings) -> AsyncIterator[Finding]:
    """Runs in its own process, because a broken file can crash llama.cpp."""
    command = [sys.executable, "-m", "worker.check"]
    try:
        check = await asyncio.to_thread(
            subprocess.run,
            command,
            capture_output=True,
            text=True,
            timeout=_MODEL_CHECK_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        yield Finding("bad", "model", f"could not be read within {_MODEL_CHECK_S:.0f} s")
        return
    if check.returncode != 0:
        reason = (check.stderr.strip().splitlines() or [f"exit status {check.returncode}"])[-1]
        yield Finding("bad", "model", reason)
        return
    report = json.loads(check.stdout.splitlines()[-1])
    for finding in (*model_findings(report), *template_findings(report)):
        yield finding


def model_findings(report: dict[str, Any]) -> Iterator[Finding]:
    """The model and the GPUs it would run on, from the report of `worker.check`."""
    size = f"{report['weights'] / 1e6:.0f} million weights, {report['bytes'] // _MEBIBYTE} MiB"
    yield Finding("ok", "model", f"{report['path']} ({size})")
    for remark in report["remarks"]:
        yield Finding("note", "model", remark)
    for gpu in report["gpus"]:
        free, total = gpu["free_bytes"] // _MEBIBYTE, gpu["total_bytes"] // _MEBIBYTE
        text = f"{gpu['description']} ({gpu['name']}), {free:,} of {total:,} MiB free"
        needed = report["bytes"] // _MEBIBYTE
        is_too_small = report["all_layers"] and needed > total
        if is_too_small or needed > free:
            # Our own worker may be what fills it.
            text = f"{text}; the model needs {needed:,} MiB"
        verdict: Verdict = "bad" if is_too_small else "note" if needed > free else "ok"
        yield Finding(verdict, "GPU", text)
    if report["why_no_gpu"]:
        yield Finding("bad", "GPU", report["why_no_gpu"])
    elif not report["gpus"]:
        yield Finding("note", "GPU", "none; the model runs on the CPU")


def template_findings(report: dict[str, Any]) -> Iterator[Finding]:
    """What the model can do, and with which settings, from the report of `worker.check`."""
    if report["demo"]:
        yield Finding("note", "model", report["demo"])
    yield Finding("ok", "model", ", ".join(report["abilities"]))
    for line in ("template", "replies"):
        if report[line] is not None:  # models that make embeddings have neither
            yield Finding("ok", line, report[line])
    yield Finding("ok", "window", _window(report["window"], report["longest_window"]))
    sources = {"the model's file recommends": "sampling", "the settings say": "sampling_settings"}
    for source, key in sources.items():
        if report[key]:
            options = ", ".join(f"{name} {value:g}" for name, value in report[key].items())
            yield Finding("ok", "sampling", f"{source} {options}")


def _window(used: int, longest: int | None) -> str:
    if longest is None:
        return f"{used:,} tokens; the model's file does not say how many it supports"
    if used == longest:
        return f"{used:,} tokens, all that the model supports"
    return f"{used:,} of {longest:,} tokens; PALAVER_CONTEXT_LENGTH=0 takes all"


async def check_port(settings: Settings) -> AsyncIterator[Finding]:
    """Whether it is free, or used by Palaver or by something else."""
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                yield await asyncio.to_thread(_identify_listener, settings)
            else:
                where = f"HOST={settings.host}, PORT={settings.port}"
                yield Finding("bad", "port", f"cannot listen on {where}: {error.strerror}")
            return
    yield Finding("ok", "port", f"{settings.port} is free; the server is not running")


def _identify_listener(settings: Settings) -> Finding:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    other_program = Finding(
        "bad", "port", f"{settings.port} is in use by another program; choose a different PORT"
    )
    try:
        answer = PalaverClient(f"http://{host}:{settings.port}").get("/readyz")
    except ServerError as error:
        if error.status != 503:
            return other_program
        return Finding("bad", "server", f"runs on port {settings.port}, but is not ready: {error}")
    except (Unreachable, ValueError):
        return other_program
    if answer != {"status": "ready"}:
        return other_program
    return Finding("ok", "server", f"runs on port {settings.port} and is ready")


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
