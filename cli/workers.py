"""`palaver workers` and `palaver drain`: which workers there are, and which are to end."""

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from cli.redis_command import Store, run_with_redis
from cli.table import table
from shared.errors import PalaverError
from shared.ids import host_of
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
    return run_with_redis(_list)


def drain(options: argparse.Namespace) -> int:
    """Ask workers to drain: those named, or all of a host or model; list them if none is named."""
    if not (options.workers or options.host or options.model):
        return run_with_redis(_list)
    return run_with_redis(lambda store: _drain(store, options))


async def _list(store: Store) -> None:
    reports = await store.workers.all()
    if not reports:
        print("No worker is running.")
        return
    print(*table([_HEAD, *(_row(name, reports[name]) for name in sorted(reports))]), sep="\n")


def _row(worker_id: str, report: WorkerReport) -> tuple[str, ...]:
    state = "draining" if report.is_draining else "serving"
    load = str(report.slots), str(report.running)
    return worker_id, host_of(worker_id), report.model_name, *load, state


async def _drain(store: Store, options: argparse.Namespace) -> None:
    workers = store.workers
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
