"""`palaver workers` and `palaver drain`: which workers there are, and which are to end."""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Final

from redis.exceptions import RedisError

from shared.config import load_settings
from shared.environment import DEFAULT_PORT
from shared.errors import EX_CONFIG, ConfigError, PalaverError
from shared.ids import host_of
from shared.store.connection import connect
from shared.store.keys import Keys
from shared.store.workers import Workers
from shared.wire.drain_answer import DrainAnswer
from shared.wire.worker_report import WorkerReport

_HEAD: Final = ("ID", "HOST", "MODEL", "SLOTS", "RUNNING", "STATE")
_LOOK_S: Final = 1.0
"""Between two looks whether those that drain have ended."""
_ANSWERS: Final = {
    DrainAnswer.OK: "drains",
    DrainAnswer.GONE: "has ended",
    DrainAnswer.OLD: "runs an older version",
}

Reports = Mapping[str, WorkerReport]
"""The live workers by id."""


class NoSuchWorker(PalaverError):
    """No live worker is what was named; `known` are those that there are."""

    def __init__(self, what: str, known: Reports) -> None:
        there_are = f"there are {', '.join(sorted(known))}" if known else "there is none"
        super().__init__(f"no worker{what}; {there_are}")


class OlderWorker(PalaverError):
    """These workers cannot be asked."""

    def __init__(self, worker_ids: Sequence[str]) -> None:
        super().__init__(f"{', '.join(worker_ids)} cannot be asked to drain: send SIGTERM instead")


def list_workers() -> int:
    """Print all workers."""
    return _run(_list)


def drain(options: argparse.Namespace) -> int:
    """Ask workers to drain: those named, or all of a host or model; list them if none is named."""
    if not (options.workers or options.host or options.model):
        return _run(_list)
    return _run(lambda workers: _drain(workers, options))


def _run(command: Callable[[Workers], Awaitable[None]]) -> int:
    """Run a command; returns the exit status."""
    try:
        asyncio.run(_call(command))
    except ConfigError as error:
        print(f"palaver: {error}", file=sys.stderr)
        return EX_CONFIG
    except PalaverError as error:
        print(f"palaver: {error}", file=sys.stderr)
        return 1
    except (RedisError, OSError) as error:
        print(f"palaver: Redis is not reachable ({error})", file=sys.stderr)
        return 1
    return 0


async def _call(command: Callable[[Workers], Awaitable[None]]) -> None:
    async with _workers() as workers:
        await command(workers)


@contextlib.asynccontextmanager
async def _workers() -> AsyncIterator[Workers]:
    settings = load_settings(PORT=DEFAULT_PORT)
    redis = connect(settings)
    try:
        yield Workers(redis, Keys(settings.namespace))
    finally:
        await redis.aclose(close_connection_pool=True)


async def _list(workers: Workers) -> None:
    reports = await workers.all()
    if not reports:
        print("No worker is running.")
        return
    print(*table([_HEAD, *(_row(name, reports[name]) for name in sorted(reports))]), sep="\n")


def _row(worker_id: str, report: WorkerReport) -> tuple[str, ...]:
    state = "draining" if report.is_draining else "serving"
    load = str(report.slots), str(report.running)
    return worker_id, host_of(worker_id), report.model_name, *load, state


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


async def _drain(workers: Workers, options: argparse.Namespace) -> None:
    reports = await workers.all()
    chosen = choose(reports, options.workers, host=options.host, model=options.model)
    answers = {worker_id: await workers.ask_to_drain(worker_id) for worker_id in chosen}
    for worker_id, answer in answers.items():
        print(worker_id, _ANSWERS[answer])
    for model in unserved(reports, chosen):
        print(
            f"No other worker serves {model}: its prompts wait from now on, and new ones are "
            "refused as soon as none is left.",
            file=sys.stderr,
        )
    if options.wait:
        await _until_ended(workers, {w for w in chosen if answers[w] is DrainAnswer.OK})
    if older := [w for w in chosen if answers[w] is DrainAnswer.OLD]:
        raise OlderWorker(older)


def choose(
    reports: Reports, ids: Sequence[str], *, host: str | None, model: str | None
) -> list[str]:
    """The workers that were named, or all of a host, or of a model, or of both.

    Raises:
        NoSuchWorker: one of them, or any of such a host and model, is not there.
    """
    for worker_id in ids:
        if worker_id not in reports:
            raise NoSuchWorker(f" {worker_id}", reports)
    chosen = [
        worker_id
        for worker_id, report in sorted(reports.items())
        if (not ids or worker_id in ids)
        and (host is None or host_of(worker_id) == host)
        and (model is None or report.model_name == model)
    ]
    if not chosen:
        of_host = "" if host is None else f" of host {host}"
        of_model = "" if model is None else f" that serves {model}"
        raise NoSuchWorker(f"{of_host}{of_model}", reports)
    return chosen


def unserved(reports: Reports, drained: Sequence[str]) -> list[str]:
    """Models of these workers that no other one serves."""
    others = {
        report.model_name
        for worker_id, report in reports.items()
        if worker_id not in drained and not report.is_draining
    }
    return sorted({reports[worker_id].model_name for worker_id in drained} - others)


async def _until_ended(workers: Workers, chosen: set[str]) -> None:
    """Return when these have ended; one that has crashed counts as ended a little later."""
    while chosen & set(await workers.all()):  # noqa: ASYNC110 - Redis has no event for it
        await asyncio.sleep(_LOOK_S)
