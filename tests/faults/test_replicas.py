"""What clients are told is kept, whatever happens to the primary: `PALAVER_REPLICAS` have it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError

from shared.config import Settings
from shared.errors import ConfigError
from shared.store.boot import check_server
from shared.store.connection import connect
from shared.store.keys import Keys
from tests.faults.replicated import ReplicatedServer
from tests.integration.test_jobs import Gate
from tests.scripted import ScriptedEngine
from tests.servers import Stack, make_settings, running_stack
from tests.sse import Received, received

NEVER_WITHOUT = ("--min-replicas-to-write", "1", "--min-replicas-max-lag", "60")
PATIENCE_S = 60


@asynccontextmanager
async def running_replicated(
    folder: Path, replicas: int, engine: ScriptedEngine | None = None, *options: str
) -> AsyncIterator[tuple[ReplicatedServer, Stack]]:
    with contextlib.ExitStack() as processes:
        server = await asyncio.to_thread(ReplicatedServer, folder, processes, *options)
        await asyncio.to_thread(server.until_copied)
        settings = make_settings(server.url, PALAVER_LEASE=2, PALAVER_REPLICAS=replicas)
        async with running_stack(settings, engine or ScriptedEngine()) as stack:
            yield server, stack


def key_of(prompt: str) -> dict[str, str]:
    return {"Idempotency-Key": f"the one that says {prompt}"}


async def until_answered(client: httpx.AsyncClient, prompt: str, **body: Any) -> dict[str, Any]:
    """The reply to a prompt that is sent again, as one and the same, until there is one."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = await client.post("/", json={"prompt": prompt, **body}, headers=key_of(prompt))
            if answer.status_code == 200:
                reply: dict[str, Any] = answer.json()
                return reply
            assert answer.status_code == 503, answer.text
            await asyncio.sleep(0.1)


async def until_promoted(server: ReplicatedServer) -> None:
    async with asyncio.timeout(PATIENCE_S), Redis(port=server.ports[1]) as replica:
        while True:
            # Its connections are closed when it changes its role.
            with contextlib.suppress(ConnectionError):
                if (await replica.info("replication"))["role"] == "master":
                    return
            await asyncio.sleep(0.05)


async def test_a_prompt_counts_as_accepted_once_a_replica_has_it(tmp_path: Path) -> None:
    async with running_replicated(tmp_path, 1, None, *NEVER_WITHOUT) as (server, stack):
        first = await stack.ask("First.")
        server.hold_replica()
        body = {"prompt": "Second.", "id": first["id"]}
        refused = await stack.client.post("/jobs", json=body, headers=key_of("Second."))
        server.let_replica_go()
        answered = await until_answered(stack.client, "Second.", id=first["id"])
        messages = (await stack.client.get(f"/conversations/{first['id']}/messages")).json()
    assert (refused.status_code, refused.json()["code"]) == (503, "outcome_unknown")
    assert "replicas" in refused.json()["detail"]
    assert refused.json()["job"] == answered["job"], "it was taken all the same, once"
    assert [m["content"] for m in messages["messages"][::2]] == ["First.", "Second."]


async def test_the_end_of_a_turn_is_told_late_rather_than_too_early(tmp_path: Path) -> None:
    gate = Gate()
    engine = ScriptedEngine(step=gate)
    async with running_replicated(tmp_path, 1, engine, *NEVER_WITHOUT) as (server, stack):
        job = (await stack.client.post("/jobs", json={"prompt": "Hi."})).json()["job"]
        async with stack.client.stream("GET", f"/jobs/{job}/events") as response:
            events = received(response)
            assert (await anext(events)).kind == "queued"
            server.hold_replica()
            gate.open()
            async with asyncio.timeout(PATIENCE_S):
                while (shown := await stack.client.get(f"/jobs/{job}")).status_code == 200:
                    assert shown.json()["status"] != "completed"
            following = asyncio.create_task(kinds_of(events))
            asked = await stack.client.get(f"/jobs/{job}?wait=1")
            was_told = following.done()
            server.let_replica_go()
            async with asyncio.timeout(PATIENCE_S):
                kinds = await following
        completed = (await stack.client.get(f"/jobs/{job}")).json()
    for answer in (shown, asked):
        assert (answer.status_code, answer.json()["code"]) == (503, "outcome_unknown")
    assert not was_told
    assert kinds[-1] == "completed"
    assert completed["status"] == "completed"


async def kinds_of(events: AsyncIterator[Received]) -> list[str]:
    return [event.kind async for event in events]


@pytest.mark.parametrize("replicas", [1, 0])
async def test_what_was_told_outlives_a_primary_whose_replica_was_behind(
    tmp_path: Path, replicas: int
) -> None:
    """Without replicas to wait for it is lost: the documented loss, and the test's own control."""
    options = NEVER_WITHOUT if replicas else ()
    async with running_replicated(tmp_path, replicas, None, *options) as (server, stack):
        first = await stack.ask("First.")
        await asyncio.to_thread(server.until_copied)
        await asyncio.to_thread(server.cut_replica_off)
        body = {"prompt": "Second.", "id": first["id"]}
        told = await stack.client.post("/", json=body, headers=key_of("Second."))
        server.primary.kill()
        server.let_replica_go()
        await until_promoted(server)
        if replicas:
            # Nothing is accepted before there is a replica again.
            await asyncio.to_thread(server.bring_back)
        await until_answered(stack.client, "Third.", id=first["id"])
        messages = (await stack.client.get(f"/conversations/{first['id']}/messages")).json()
    prompts = [message["content"] for message in messages["messages"][::2]]
    assert told.status_code == (503 if replicas else 200)
    assert prompts == ["First.", "Third."], "the replica never had the second"


async def test_a_server_that_writes_without_replicas_is_refused(tmp_path: Path) -> None:
    with contextlib.ExitStack() as processes:
        server = await asyncio.to_thread(ReplicatedServer, tmp_path, processes)
        settings = make_settings(server.primary_url, PALAVER_REPLICAS=1)
        with pytest.raises(ConfigError, match="min-replicas-to-write"):
            await checked(settings)
        async with connect(settings) as redis:
            await redis.config_set("min-replicas-to-write", 1)
        await asyncio.to_thread(server.until_copied)
        await checked(settings)
        with pytest.raises(ConnectionError, match="1 of 2 replicas"):
            await checked(make_settings(server.primary_url, PALAVER_REPLICAS=2))


async def checked(settings: Settings) -> None:
    async with connect(settings) as redis:
        await check_server(redis, Keys(settings.namespace), settings)


async def test_a_server_without_its_replicas_is_told_as_such(tmp_path: Path) -> None:
    """It refuses to write at all, in the middle of a pipeline, too."""
    async with running_replicated(tmp_path, 1, None, *NEVER_WITHOUT) as (server, stack):
        first = await stack.ask("First.")
        server.cut_replica_off()
        asked = await stack.client.get(f"/jobs/{first['job']}")
        sent = await stack.client.post("/jobs", json={"prompt": "Second."})
        server.let_replica_go()
    assert (asked.status_code, asked.json()["code"]) == (503, "outcome_unknown")
    assert (sent.status_code, sent.json()["code"]) == (503, "redis_away")
    assert "replicas" in sent.json()["detail"]
