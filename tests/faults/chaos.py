"""A storm over a whole cluster, and whether anything was lost in it.

    python -m tests.faults.chaos --jobs 10000 --faults 200     # make chaos

Five workers of two models with scripted engines and two APIs, each a process of its own with its
own way to one Valkey (some by TLS); clients that vanish, resume, repeat, change models, cancel and
delete; faults one after the other. At the end everything that clients saw is compared with
everything that is stored. The report goes to `docs/reliability.md`.
"""

import argparse
import asyncio
import contextlib
import datetime
import logging
import os
import shlex
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shared.process.tasks import end
from tests.faults.audit import Audit, Findings, jobs_of, together, until_idle, until_settled
from tests.faults.clients import crowd
from tests.faults.cluster import Cluster, running_cluster, running_on_nodes
from tests.faults.ledger import Ledger
from tests.faults.observer import Observer
from tests.faults.redis_cluster import running_cluster_of
from tests.faults.report import report
from tests.faults.storm import Storm

log = logging.getLogger(__name__)

TURNS: Final = 8
AT_ONCE: Final = 24
LONG_TURNS: Final = 24
FEW_AT_ONCE: Final = 6
"""So that workers are idle now and then: only then are summaries made."""
WINDOW: Final = {
    "PALAVER_CONTEXT_LENGTH": "1800",
    "PALAVER_MAX_TOKENS": "150",
    "PALAVER_SUMMARY_TOKENS": "180",
    "PALAVER_RECALL_TOKENS": "0",
    "FAULTS_REMEMBERS": "1",
}
"""Shorter than `LONG_TURNS`; tokens are characters."""
LEASE_S: Final = 2.0
CALM_WITHIN_S: Final = 60.0
_ERROR_LENGTH: Final = 6000
MODELS: Final = ("amber", "basalt")
SLOTS: Final = 2
"""In each worker: few, so that homes are busy and turns wait for them."""


@dataclass(frozen=True)
class Plan:
    """How large a storm is.

    Args:
        jobs: prompts, about.
        only: kinds of faults; None for all.
        unfenced: take the workers' fence away.
        outage_s: how long Redis is gone once.
        on_nodes: on a Redis Cluster.
        replicas: of its nodes that must have what clients are told.
        cells: how many cells the namespace has.
        remembers: conversations are longer than their windows, and half of them are summarised.
        limit_s: after so long it is given up.
    """

    seed: int = 1
    jobs: int = 300
    faults: int = 12
    workers: int = 5
    apis: int = 2
    only: frozenset[str] | None = None
    unfenced: bool = False
    piece_s: float = 0.005
    outage_s: float = 0.0
    on_nodes: bool = False
    replicas: int = 1
    cells: int = 1
    remembers: bool = False
    limit_s: float = 300.0

    @property
    def turns(self) -> int:
        """Of a conversation, at most."""
        return LONG_TURNS if self.remembers else TURNS


@dataclass
class Outcome:
    """What a storm left."""

    ledger: Ledger
    findings: Findings
    seconds: float


async def storm(plan: Plan) -> Outcome:
    """Let it rage, and look at what is left."""
    ledger, began = Ledger(), time.monotonic()
    if plan.remembers:
        ledger.memories = ("fifo", "summary")
    async with asyncio.timeout(plan.limit_s), _running(plan) as cluster:
        await rage(cluster, ledger, plan)
        findings = together(await _audited(cluster, ledger, plan))
        if findings.unforeseen:
            log.info("%s", _first_error(cluster.output))
    return Outcome(ledger, findings, time.monotonic() - began)


async def _audited(cluster: Cluster, ledger: Ledger, plan: Plan) -> list[Findings]:
    """What is left in each cell, once all are calm."""
    jobs: dict[str, dict[str, str]] = {}
    for cell in cluster.cells.all:
        keys = cluster.keys_of(cell)
        async with cluster.redis(cell) as redis:
            await until_idle(redis, keys, CALM_WITHIN_S)
            await until_settled(redis, keys, plan.workers, CALM_WITHIN_S)
            jobs |= await jobs_of(redis, keys)
    findings = []
    for cell in cluster.cells.all:
        async with cluster.redis(cell) as redis:
            audit = Audit(
                redis,
                cluster.keys_of(cell),
                ledger.of_cell(cell, cluster.cells),
                loses_pieces=plan.on_nodes,
                whole=ledger,
                elsewhere=jobs,
            )
            findings.append(await audit.run())
    return findings


def _first_error(output: str) -> str:
    """What processes have logged of an error that nobody expects."""
    return output[max(0, output.find("unexpected error") - 200) :][:_ERROR_LENGTH]


@contextlib.asynccontextmanager
async def _running(plan: Plan) -> AsyncIterator[Cluster]:
    options: dict[str, Any] = {
        "apis": plan.apis,
        "workers": plan.workers,
        "lease_s": LEASE_S,
        "piece_s": plan.piece_s,
        "models": MODELS,
        "PALAVER_SLOTS": str(SLOTS),
        # A storm kills workers that are not to blame.
        "PALAVER_MAX_ATTEMPTS": "100",
        "FAULTS_UNFENCED": str(int(plan.unfenced)),
        "PALAVER_CELLS": str(plan.cells),
        **(WINDOW if plan.remembers else {}),
    }
    if not plan.on_nodes:
        async with running_cluster(like_a_service=True, **options) as cluster:
            yield cluster
        return
    with tempfile.TemporaryDirectory() as folder, running_cluster_of(Path(folder)) as nodes:
        nodes.want_replicas(plan.replicas)
        options["PALAVER_REPLICAS"] = str(plan.replicas)
        async with running_on_nodes(nodes, Path(folder), **options) as cluster:
            yield cluster


async def rage(cluster: Cluster, ledger: Ledger, plan: Plan) -> None:
    """Clients and faults together, until there was enough of both."""
    weather = Storm(
        cluster,
        ledger,
        seed=plan.seed,
        lease_s=LEASE_S,
        outage_s=plan.outage_s,
        only=plan.only,
    )
    clients = crowd(
        [cluster.url(n) for n in range(plan.apis)],
        ledger,
        models=MODELS,
        seed=plan.seed,
        at_least=max(1, plan.jobs // plan.turns),
        turns=plan.turns,
        at_once=FEW_AT_ONCE if plan.remembers else AT_ONCE,
        is_over=lambda: sum(ledger.faults.values()) >= plan.faults,
    )
    watching = asyncio.create_task(Observer(cluster, ledger).watch())
    try:
        async with asyncio.TaskGroup() as group:
            talking = group.create_task(clients)
            group.create_task(weather.rage(plan.faults, talking.done))
    finally:
        await end(watching)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--outage", type=float, default=60, help="seconds without Redis, once")
    parser.add_argument("--limit", type=float, default=3000, help="seconds until it is given up")
    parser.add_argument("--nodes", action="store_true", help="on a Redis Cluster")
    parser.add_argument("--replicas", type=int, default=1, help="that must have what is told there")
    parser.add_argument("--cells", type=int, default=1, help="of the namespace")
    parser.add_argument("--memory", action="store_true", help="long conversations, summarised")
    parser.add_argument("--only", action="append", help="this kind of fault (several: again)")
    parser.add_argument("--output", type=Path, help="where the report goes, as Markdown")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # Some of the turns are never sent, because their conversation was deleted before.
    plan = Plan(
        seed=options.seed,
        jobs=int(options.jobs * 1.05),
        faults=options.faults,
        only=frozenset(options.only) if options.only else None,
        outage_s=0.0 if options.nodes else options.outage,
        on_nodes=options.nodes,
        replicas=options.replicas,
        cells=options.cells,
        remembers=options.memory,
        limit_s=options.limit,
    )
    outcome = asyncio.run(storm(plan))
    command = shlex.join(["python", "-m", "tests.faults.chaos", *sys.argv[1:]])
    text = report(
        outcome.ledger,
        outcome.findings,
        outcome.seconds,
        replicas=plan.replicas if plan.on_nodes else None,
        remembers=plan.remembers,
        command=command,
        date=datetime.datetime.now(datetime.UTC).date(),
        cores=os.cpu_count() or 1,
    )
    print(text)
    if options.output is not None:
        options.output.write_text(text, encoding="utf-8")
    return int(bool(outcome.findings.complaints))


if __name__ == "__main__":
    sys.exit(main())
