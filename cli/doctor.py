"""`palaver doctor`: finds what keeps Palaver from starting or running well, and how to fix it."""

import asyncio
import errno
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

from cli.client import PalaverClient, ServerError, Unreachable
from cli.doctor_redis import check_redis
from cli.finding import Finding, Verdict
from shared.config import Settings, load_settings
from shared.errors import ConfigError
from shared.process.exposure import check_exposure

_MODEL_CHECK_S: Final = 120.0
_MEBIBYTE: Final = 1 << 20


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
    if (memory := report["memory"]) is not None:
        # A worker that runs already has its share of what would be free.
        yield Finding("note" if memory["is_less"] else "ok", "memory", memory["remark"])


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
