"""Palaver on a Redis Cluster: failovers, and slots that move while turns run."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.doctor_redis import check_redis
from shared.errors import ConfigError
from shared.store.boot import check_server, until_usable
from shared.store.connection import connect
from shared.store.keys import Keys
from tests.faults.redis_cluster import RedisCluster, running_cluster_of
from tests.scripted import ScriptedEngine
from tests.servers import Stack, Valkey, make_settings, running_stack

PATIENCE_S = 60.0
PROMPTS = 40


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """Every test of this module leaves it whole."""
    with running_cluster_of(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@contextlib.asynccontextmanager
async def running_on(
    cluster: RedisCluster, engine: ScriptedEngine | None = None, **variables: Any
) -> AsyncIterator[Stack]:
    settings = make_settings(cluster.url, PALAVER_LEASE=2, PALAVER_HEARTBEAT=1, **variables)
    async with running_stack(settings, engine or ScriptedEngine()) as stack:
        yield stack


async def insist(client: httpx.AsyncClient, key: str, **body: Any) -> dict[str, Any]:
    """Send a prompt until it is answered; meanwhile nothing but "try again" may come."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = await client.post("/", json=body, headers={"Idempotency-Key": key * 8})
            if answer.status_code == 200:
                said: dict[str, Any] = answer.json()
                return said
            assert answer.status_code == 503, answer.text
            await asyncio.sleep(0.05)


async def messages(stack: Stack, conversation: int) -> list[str]:
    answer = await stack.client.get(f"/conversations/{conversation}/messages?limit=100")
    return [message["content"] for message in answer.json()["messages"]]


def fails_over(cluster: RedisCluster, keyspace: str) -> None:
    """The primary of these keys dies, is replaced by its replica, and comes back as one."""
    primary = cluster.primary_of(keyspace)
    primary.kill()
    cluster.until_promoted(keyspace, primary)
    cluster.start_again(primary)
    cluster.until_whole()


async def test_after_a_failover_conversations_and_running_turns_go_on(
    cluster: RedisCluster,
) -> None:
    over = asyncio.get_running_loop().create_future()
    engine = ScriptedEngine(piece_length=40, step=lambda given: over if given > 100 else None)
    async with running_on(cluster, engine) as stack:
        first = await stack.ask("Before.")
        job = (await stack.client.post("/jobs", json={"prompt": "x" * 200})).json()
        await asyncio.to_thread(cluster.until_copied, stack.settings.keyspace)
        await asyncio.to_thread(fails_over, cluster, stack.settings.keyspace)
        over.set_result(None)
        second = await insist(stack.client, "after", prompt="After.", id=first["id"])
        running = (await stack.client.get(f"/jobs/{job['job']}?wait=30")).json()
        said = await messages(stack, first["id"])
    assert second["window"]["turns_kept"] == 2
    assert running["status"] == "completed"
    assert running["result"]["reply"] == "You said: " + "x" * 200
    assert said == ["Before.", "You said: Before.", "After.", "You said: After."]


async def test_a_slot_that_moves_in_one_step_costs_no_answer(cluster: RedisCluster) -> None:
    async with running_on(cluster) as stack:
        keyspace = stack.settings.keyspace
        first = await stack.ask("0")
        talking = asyncio.create_task(talk(stack, first["id"], insists=False))
        for _ in range(2):
            target = cluster.other_primary(cluster.primary_of(keyspace))
            await asyncio.to_thread(cluster.move_at_once, keyspace, target)
        await talking
        said = await messages(stack, first["id"])
    assert said == [text for n in range(PROMPTS) for text in (f"{n}", f"You said: {n}")]


async def test_what_is_published_stays_with_the_nodes_of_its_slot(cluster: RedisCluster) -> None:
    engine = ScriptedEngine(piece_length=10)
    async with running_on(cluster, engine) as stack:
        primary = cluster.primary_of(stack.settings.keyspace)
        assert await stack.ask("Waited for.")
        ordinary = [node.say("PUBSUB", "CHANNELS") for node in cluster.nodes]
        sharded = primary.say("PUBSUB", "SHARDCHANNELS")
        job = (await stack.client.post("/jobs", json={"prompt": "y" * 200})).json()["job"]
        streamed = await stack.client.get(f"/jobs/{job}/events")
    assert not any(ordinary)
    assert sharded
    assert "event: token" in streamed.text


async def test_while_a_slot_is_moved_key_by_key_nothing_is_done_by_halves(
    cluster: RedisCluster,
) -> None:
    """A script that finds only a part of its keys would corrupt the others: it is refused."""
    async with running_on(cluster) as stack:
        keyspace = stack.settings.keyspace
        first = await stack.ask("0")
        target = cluster.other_primary(cluster.primary_of(keyspace))
        with cluster.moving(keyspace, target) as step:
            talking = asyncio.create_task(talk(stack, first["id"], insists=True))
            refused = await stack.client.post("/", json={"prompt": "1", "id": first["id"]})
            await asyncio.to_thread(step)
            # The others are moved here, while the client asks again and again.
            later = await stack.client.post("/", json={"prompt": "Later."})
        await talking
        said = await messages(stack, first["id"])
        listed = await stack.client.get("/conversations")
    assert [refused.status_code, later.status_code] == [503, 503]
    assert said == [text for n in range(PROMPTS) for text in (f"{n}", f"You said: {n}")]
    assert [one["id"] for one in listed.json()["conversations"]] == [first["id"]]


async def talk(stack: Stack, conversation: int, *, insists: bool) -> None:
    """Prompts 1, 2, … of a conversation."""
    for number in range(1, PROMPTS):
        if insists:
            key = f"turn-{number:02}"
            await insist(stack.client, key, prompt=f"{number}", id=conversation)
        else:
            await stack.ask(f"{number}", id=conversation)


async def test_a_node_that_hangs_is_replaced_and_gives_way_when_it_comes_back(
    cluster: RedisCluster,
) -> None:
    """When it comes back it takes itself for the primary for a moment, and writes into the void."""
    cluster.want_replicas(1)
    async with running_on(cluster, PALAVER_REPLICAS=1) as stack:
        keyspace = stack.settings.keyspace
        first = await stack.ask("Before.")
        primary = cluster.primary_of(keyspace)
        primary.hang()
        try:
            await asyncio.to_thread(cluster.until_promoted, keyspace, primary)
        finally:
            primary.go_on()
        await insist(stack.client, "after", prompt="After.", id=first["id"])
        await asyncio.to_thread(cluster.until_whole)
        said = await messages(stack, first["id"])
    cluster.want_replicas(0)
    assert said == ["Before.", "You said: Before.", "After.", "You said: After."]


async def test_a_start_on_a_node_that_has_just_lost_its_role_finds_the_new_primary(
    cluster: RedisCluster,
) -> None:
    settings = make_settings(cluster.url)
    keys, former = Keys(settings.keyspace), cluster.primary_of(settings.keyspace)
    async with connect(settings) as redis:
        await redis.ping()
        cluster.replica_of(former).say("CLUSTER", "FAILOVER")
        await asyncio.to_thread(cluster.until_promoted, settings.keyspace, former)
        await asyncio.to_thread(cluster.until_whole)
        async with asyncio.timeout(PATIENCE_S):
            assert await until_usable(redis, keys, settings, asyncio.Event())
            assert (await redis.info("replication"))["role"] == "master"


async def test_other_servers_nodes_may_die(cluster: RedisCluster) -> None:
    """Only the node with the keys matters."""
    async with running_on(cluster) as stack:
        other = cluster.other_primary(cluster.primary_of(stack.settings.keyspace))
        other.kill()
        try:
            answers = [await stack.ask(f"{number}") for number in range(10)]
        finally:
            await asyncio.to_thread(cluster.until_replaced, other)
            cluster.start_again(other)
            await asyncio.to_thread(cluster.until_whole)
    assert [answer["reply"] for answer in answers] == [f"You said: {n}" for n in range(10)]


async def test_redis_itself_does_as_well_as_valkey(tmp_path: Path) -> None:
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed")
    with running_cluster_of(tmp_path, Path(binary)) as redis_cluster:
        async with running_on(redis_cluster) as stack:
            first = await stack.ask("Before.")
            await asyncio.to_thread(redis_cluster.until_copied, stack.settings.keyspace)
            await asyncio.to_thread(fails_over, redis_cluster, stack.settings.keyspace)
            second = await insist(stack.client, "after", prompt="After.", id=first["id"])
    assert second["window"]["turns_kept"] == 2


# How it is named.


@pytest.mark.parametrize(
    "url",
    ["redis+cluster://", "redis+cluster://localhost/1", "redis+cluster://localhost:x,localhost"],
)
def test_a_wrong_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="REDIS_URL"):
        connect(make_settings(url))


async def test_a_single_server_is_not_a_cluster(valkey: Valkey, cluster: RedisCluster) -> None:
    one_node = make_settings(f"redis://127.0.0.1:{cluster.nodes[0].port}")
    async with connect(one_node) as redis:
        with pytest.raises(ConfigError, match=r"redis\+cluster://host:port"):
            await check_server(redis, Keys(one_node.keyspace), one_node)


async def test_the_doctor_tells_that_it_is_a_cluster(cluster: RedisCluster) -> None:
    settings = make_settings(cluster.url)
    told = [finding.text async for finding in check_redis(settings)]
    assert any("cluster" in text for text in told), told
