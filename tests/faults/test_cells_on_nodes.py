"""Cells on a Redis Cluster: each has a primary, and what becomes of one is no other's trouble."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from shared.cells import Cells
from tests.faults.redis_cluster import Node, RedisCluster, running_cluster_of
from tests.scripted import ScriptedEngine
from tests.servers import Stack, make_settings, running_stack

CELLS = 8
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """Every test of this module leaves it whole."""
    with running_cluster_of(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@contextlib.asynccontextmanager
async def running_on(cluster: RedisCluster, **variables: Any) -> AsyncIterator[Stack]:
    """With one conversation in each cell at least."""
    settings = make_settings(
        cluster.url, PALAVER_CELLS=CELLS, PALAVER_LEASE=2, PALAVER_HEARTBEAT=1, **variables
    )
    async with running_stack(settings, ScriptedEngine()) as stack:
        await until(stack, [])
        yield stack


async def until(stack: Stack, degraded: list[int]) -> None:
    """Return when just these cells are told to be away."""
    async with asyncio.timeout(PATIENCE_S):
        while (await stack.client.get("/readyz")).json().get("degraded", []) != degraded:
            await asyncio.sleep(0.05)


async def one_in_each(stack: Stack) -> dict[int, int]:
    """A conversation in each cell."""
    found: dict[int, int] = {}
    while len(found) < CELLS:
        answer = await stack.ask("First.")
        found.setdefault(answer["id"] % CELLS, answer["id"])
    return found


def keyspaces(stack: Stack) -> dict[int, str]:
    return dict(enumerate(each.keyspace for each in Cells(stack.settings).settings))


def cells_on(cluster: RedisCluster, stack: Stack, node: Node) -> list[int]:
    """The cells whose primary this is."""
    return [cell for cell, name in keyspaces(stack).items() if cluster.primary_of(name) is node]


async def test_cells_are_on_several_primaries_and_work(cluster: RedisCluster) -> None:
    async with running_on(cluster) as stack:
        found = await one_in_each(stack)
        for conversation in found.values():
            answer = await stack.ask("Second.", id=conversation)
            assert answer["window"]["turns_kept"] == 2
        nodes = {cluster.primary_of(name).port for name in keyspaces(stack).values()}
        listed = (await stack.client.get("/conversations?limit=500")).json()["conversations"]
    assert len(nodes) > 1
    assert set(found.values()) <= {each["id"] for each in listed}


async def test_while_a_primary_hangs_the_other_cells_answer(cluster: RedisCluster) -> None:
    async with running_on(cluster) as stack:
        found = await one_in_each(stack)
        primary = cluster.primary_of(keyspaces(stack)[0])
        away = cells_on(cluster, stack, primary)
        cluster.keep_replicas(promoted=False)
        primary.hang()
        try:
            await until(stack, away)
            refused = await asyncio.gather(
                *(ask(stack.client, found[cell]) for cell in away),
            )
            answered = await asyncio.gather(
                *(ask(stack.client, found[cell]) for cell in found if cell not in away)
            )
            new = [await stack.client.post("/", json={"prompt": "New."}) for _ in range(12)]
        finally:
            primary.go_on()
            cluster.keep_replicas(promoted=True)
        await asyncio.to_thread(cluster.until_whole)
        await until(stack, [])
        again = [await insist(stack.client, found[cell]) for cell in away]
    assert {answer.status_code for answer in refused} == {503}
    assert {answer.status_code for answer in answered} == {200}
    assert {answer.status_code for answer in new} == {200}
    assert not {answer.json()["id"] % CELLS for answer in new} & set(away)
    assert {answer.status_code for answer in again} == {200}


async def ask(client: httpx.AsyncClient, conversation: int) -> httpx.Response:
    return await client.post("/", json={"prompt": "On.", "id": conversation})


async def insist(client: httpx.AsyncClient, conversation: int) -> httpx.Response:
    """Ask until it is not away any more."""
    async with asyncio.timeout(PATIENCE_S):
        while (answer := await ask(client, conversation)).status_code == 503:
            await asyncio.sleep(0.05)
    return answer
