"""What becomes of prompts when the primary of a cell dies, and how soon they are answered again.

    python -m bench.cell_loss [--rounds 3]

A Redis Cluster of three primaries with a replica each, and three cells, one on each of them; an
API and a worker with a scripted engine. In each cell somebody asks in one conversation again and
again, and two ask in new ones. One primary after the other is killed for good; counted are the
prompts from then until its cell has answered again.
"""

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from bench.tables import print_table
from shared.cells import Cells
from shared.config import Settings
from tests.faults.redis_cluster import PRIMARIES, Node, RedisCluster, running_cluster_of
from tests.scripted import ScriptedEngine
from tests.servers import Stack, make_settings, running_stack

NEW: Final = -1
"""Instead of a cell: a prompt that begins a conversation."""
NEW_AT_ONCE: Final = 2
BEFORE_S: Final = 2.0
PAUSE_S: Final = 0.02
PATIENCE_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One that was sent: where to, when, what became of it."""

    cell: int
    sent_s: float
    answered_s: float
    status: int


@dataclass
class Round:
    """A primary's death, and the prompts around it; times are of `time.monotonic`."""

    cell: int
    killed_s: float = 0.0
    promoted_s: float = 0.0
    prompts: list[Prompt] = field(default_factory=list)

    @property
    def again_s(self) -> float | None:
        """When the cell first answered a prompt that came after the death."""
        return min((p.answered_s for p in self._after() if self._is_of_cell(p)), default=None)

    def _after(self) -> Iterator[Prompt]:
        return (p for p in self.prompts if p.sent_s > self.killed_s and p.status == 200)

    def _is_of_cell(self, prompt: Prompt) -> bool:
        return prompt.cell == self.cell

    def meanwhile(self, *, elsewhere: bool) -> list[Prompt]:
        """Prompts from the death until the cell answers: in other cells, or new."""
        end_s = self.again_s or time.monotonic()
        return [
            prompt
            for prompt in self.prompts
            if self.killed_s < prompt.answered_s and prompt.sent_s < end_s
            if prompt.cell != self.cell and (prompt.cell != NEW) is elsewhere
        ]


async def ask_on(client: httpx.AsyncClient, round_: Round, cell: int, conversation: int) -> None:
    """Send prompts, one after another, until cancelled."""
    for number in itertools.count():
        body: dict[str, object] = {"prompt": f"{number}"}
        if cell != NEW:
            body["id"] = conversation
        sent_s = time.monotonic()
        answer = await client.post("/", json=body)
        round_.prompts.append(
            Prompt(
                cell=cell,
                sent_s=sent_s,
                answered_s=time.monotonic(),
                status=answer.status_code,
            )
        )
        await asyncio.sleep(PAUSE_S)


async def one_in_each(client: httpx.AsyncClient) -> dict[int, int]:
    """A conversation in each cell."""
    found: dict[int, int] = {}
    async with asyncio.timeout(PATIENCE_S):
        while len(found) < PRIMARIES:
            answer = await client.post("/", json={"prompt": "First."})
            if answer.status_code == 200:
                number = answer.json()["id"]
                found.setdefault(number % PRIMARIES, number)
    return found


def spread_settings(cluster: RedisCluster) -> Settings:
    """With each cell on another primary: names decide, so some are tried."""
    while True:
        settings = make_settings(
            cluster.url, PALAVER_CELLS=PRIMARIES, PALAVER_LEASE=2, PALAVER_HEARTBEAT=1
        )
        if len({node.port for node in primaries(cluster, settings).values()}) == PRIMARIES:
            return settings


def primaries(cluster: RedisCluster, settings: Settings) -> dict[int, Node]:
    each = enumerate(Cells(settings).settings)
    return {cell: cluster.primary_of(of_cell.keyspace) for cell, of_cell in each}


async def death(cluster: RedisCluster, stack: Stack, cell: int) -> Round:
    """Kill the primary of a cell in the midst of prompts."""
    round_ = Round(cell)
    keyspace = Cells(stack.settings).settings[cell].keyspace
    found = await one_in_each(stack.client)
    async with asyncio.TaskGroup() as group:
        asking = [
            group.create_task(ask_on(stack.client, round_, each, conversation))
            for each, conversation in [*found.items(), *[(NEW, 0)] * NEW_AT_ONCE]
        ]
        await asyncio.sleep(BEFORE_S)
        primary = cluster.primary_of(keyspace)
        round_.killed_s = time.monotonic()
        primary.kill()
        await asyncio.to_thread(cluster.until_promoted, keyspace, primary)
        round_.promoted_s = time.monotonic()
        async with asyncio.timeout(PATIENCE_S):
            while round_.again_s is None:
                await asyncio.sleep(PAUSE_S)
        for task in asking:
            task.cancel()
    return round_


@contextmanager
def cluster_of_its_own() -> Iterator[RedisCluster]:
    with tempfile.TemporaryDirectory() as folder, running_cluster_of(Path(folder)) as cluster:
        yield cluster


@asynccontextmanager
async def running_on(cluster: RedisCluster) -> AsyncIterator[Stack]:
    async with running_stack(spread_settings(cluster), ScriptedEngine()) as stack:
        async with asyncio.timeout(PATIENCE_S):
            while "degraded" in (await stack.client.get("/readyz")).json():
                await asyncio.sleep(PAUSE_S)
        yield stack


async def measure(rounds: int) -> list[Round]:
    """Each round on a cluster that is whole."""
    found = []
    for number in range(rounds):
        with cluster_of_its_own() as cluster:
            async with running_on(cluster) as stack:
                found.append(await death(cluster, stack, number % PRIMARIES))
    return found


def answered(prompts: list[Prompt]) -> str:
    good = sum(prompt.status == 200 for prompt in prompts)
    return f"{good:,} of {len(prompts):,}"


def longest(prompts: list[Prompt]) -> str:
    return f"{max((p.answered_s - p.sent_s for p in prompts), default=0.0):.2f}"


def rows(rounds: list[Round]) -> Iterator[list[str]]:
    for number, each in enumerate(rounds, start=1):
        elsewhere, new = each.meanwhile(elsewhere=True), each.meanwhile(elsewhere=False)
        again_s = each.again_s
        assert again_s is not None
        yield [
            str(number),
            answered(elsewhere),
            longest(elsewhere),
            answered(new),
            f"{each.promoted_s - each.killed_s:.1f}",
            f"{again_s - each.promoted_s:.1f}",
        ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    rounds = asyncio.run(measure(parser.parse_args().rounds))
    print_table(
        [
            "round",
            "answered in other cells",
            "longest of these, s",
            "new conversations",
            "until the replica took over, s",
            "from then until the cell answered, s",
        ],
        rows(rounds),
    )
    waits = [each.again_s - each.promoted_s for each in rounds if each.again_s is not None]
    print(f"\nmedian from the promotion to an answer: {statistics.median(waits):.1f} s")


if __name__ == "__main__":
    main()
