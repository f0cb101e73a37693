"""Lost answers, denied writes, bodies that were cut off: nothing comes of them."""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.store.connection import connect, wait_until_up
from shared.store.keys import Keys
from shared.wire.write_outcome import WriteOutcome
from tests.integration.bench import POOL, Bench, accepted, completion
from tests.proxy import LossyProxy, running_proxy
from tests.scripted import ScriptedEngine
from tests.servers import (
    Stack,
    Valkey,
    make_settings,
    running_api,
    running_stack,
    running_valkey,
    running_worker,
    until_ready,
)


async def test_a_call_repeated_after_its_turn_went_to_another_worker_takes_nothing(
    bench: Bench,
) -> None:
    submission = await bench.submit()
    first = await bench.claims.take("w1", "nonce-one", 1)
    await bench.crash(first[0])
    heir = await bench.reclaim("w2")
    assert heir is not None
    await bench.submit()
    assert await bench.claims.take("w1", "nonce-one", 1) == []
    assert heir.job_id == submission.job_id
    assert (await bench.claims.wishes([heir])).lost == []


async def test_a_turn_of_a_lost_worker_whose_answer_was_lost_is_given_again(bench: Bench) -> None:
    await bench.submit()
    await bench.crash(await bench.claim("w1"))
    await bench.keep()
    nonce = secrets.token_hex(8)
    (first,) = await bench.claims.take("w2", nonce, 1)
    (again,) = await bench.claims.take("w2", nonce, 1)
    assert (again.job_id, again.fence, again.crashes) == (first.job_id, first.fence, 1)
    assert await bench.reclaim("w3") is None


async def test_keeping_the_queue_twice_takes_a_turn_away_once(bench: Bench) -> None:
    submission = await bench.submit()
    await bench.crash(await bench.claim("w1"))
    for _ in range(3):
        await bench.keep()
    claim = await bench.claim("w2")
    assert (claim.job_id, claim.starts, claim.crashes) == (submission.job_id, 2, 1)
    assert await bench.redis.zrange(bench.keys.line(POOL), 0, -1) == []


async def test_one_worker_keeps_the_queue_until_nothing_is_heard_of_it(bench: Bench) -> None:
    async def keeps(worker: str) -> bool:
        return await bench.claims.keep(worker, may_reclaim=True, sweep=True) is not None

    assert [await keeps(worker) for worker in ("w1", "w2", "w1", "w2")] == [True, False] * 2
    assert 0 < await bench.redis.pttl(bench.keys.keeper) <= 3000
    await bench.redis.delete(bench.keys.keeper)  # as it is when its time is over
    assert [await keeps(worker) for worker in ("w2", "w1")] == [True, False]


async def test_while_no_lease_counts_no_turn_is_taken_away(bench: Bench) -> None:
    await bench.submit()
    claim = await bench.claim("w1")
    await bench.crash(claim)
    await bench.claims.keep("w2", may_reclaim=False, sweep=True)
    assert await bench.take("w2") == []
    assert await bench.reclaim("w2") is not None


async def test_a_turn_that_has_ended_is_never_reclaimed(bench: Bench) -> None:
    await bench.submit()
    claim = await bench.claim()
    # As after an end that broke off in the middle: its lease is still watched.
    await bench.redis.hset(bench.keys.job(claim.job_id), "status", "completed")
    await bench.crash(claim)
    assert await bench.reclaim("w2") is None
    assert await bench.redis.hget(bench.keys.job(claim.job_id), "status") == "completed"
    assert await bench.redis.zrange(bench.keys.leases, 0, -1) == []


async def test_an_abandoned_turn_that_nobody_watches_ends_at_its_deadline(bench: Bench) -> None:
    submission = await bench.submit()
    claim = await bench.claim()
    await bench.redis.delete(bench.keys.leases)
    await bench.redis.zadd(bench.keys.open_jobs, {claim.job_id: 1})
    assert (await bench.keep(sweep=True)).late == 0, "its worker lives"
    await bench.redis.delete(bench.keys.lease(claim.job_id))
    assert (await bench.keep(sweep=True)).late == 1
    assert (await bench.kinds(submission.job_id))[-1] == "failed"
    # Its conversation went with it.
    assert (await bench.claims.commit(claim, completion(claim))).outcome is WriteOutcome.GONE


async def test_short_memory_refuses_new_prompts_and_loses_no_running_one() -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with running_valkey() as server:
        settings = make_settings(server.url, PALAVER_LEASE=0.6)
        redis: Any = connect(settings)
        async with running_stack(settings, ScriptedEngine(step=lambda _: gate)) as stack:
            running = asyncio.create_task(stack.ask("still running"))
            await started(redis, Keys(settings.namespace))
            await redis.config_set("maxmemory", 1)
            refused = await stack.client.post("/", json={"prompt": "one too many"})
            gate.set_result(None)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(running), 0.7)
            await redis.config_set("maxmemory", 0)
            answer = await running
            job = (await stack.client.get(f"/jobs/{answer['job']}")).json()
        await redis.aclose(close_connection_pool=True)
    assert (refused.status_code, refused.json()["code"]) == (503, "memory_short")
    assert "Retry-After" in refused.headers
    assert answer["reply"] == "You said: still running"
    # No lease can be renewed meanwhile, so that the turn may have been started a second time.
    assert (job["status"], job["result"]["window"]["turns_kept"]) == ("completed", 1)


async def started(redis: Any, keys: Keys) -> None:
    """Return when a turn is held by a worker."""
    async with asyncio.timeout(10):
        while not await redis.zcard(keys.leases):
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("path", ["/", "/jobs"])
async def test_a_prompt_whose_acceptance_was_lost_is_submitted_again_and_runs_once(
    valkey: Valkey, tmp_path: Path, path: str
) -> None:
    engine = ScriptedEngine()
    async with running_behind_proxy(valkey, tmp_path, engine, times=2) as (stack, proxy, redis):
        answer = await stack.client.post(path, json={"prompt": "Only once."})
        job = (await stack.client.get(f"/jobs/{answer.json()['job']}?wait=10")).json()
        prompts = await accepted(redis, Keys(stack.settings.namespace))
    assert answer.status_code == (200 if path == "/" else 202)
    assert job["result"]["reply"] == "You said: Only once."
    assert job["result"]["window"]["turns_kept"] == 1
    assert proxy.lost == 2
    assert (prompts, len(engine.prompts)) == (1, 1)


async def test_when_no_answer_comes_at_all_the_job_that_may_exist_is_named(
    valkey: Valkey, tmp_path: Path
) -> None:
    async with running_behind_proxy(valkey, tmp_path, ScriptedEngine(), times=99) as parts:
        stack, _, _ = parts
        answer = await stack.client.post("/", json={"prompt": "Only once."})
        problem = answer.json()
        job = (await stack.client.get(f"/jobs/{problem['job']}?wait=10")).json()
    assert (answer.status_code, problem["code"]) == (503, "outcome_unknown")
    assert job["result"]["reply"] == "You said: Only once."


@contextlib.asynccontextmanager
async def running_behind_proxy(
    valkey: Valkey, folder: Path, engine: ScriptedEngine, *, times: int
) -> AsyncIterator[tuple[Stack, LossyProxy, Any]]:
    """An API that reaches Redis through a proxy, which loses its answers to `submit`."""
    settings = make_settings(valkey.url)
    async with (
        running_proxy(folder, valkey.socket, mark=b"pending_limit", times=times) as (url, proxy),
        running_worker(settings, engine),
        running_api(make_settings(url, PALAVER_NAMESPACE=settings.namespace)) as client,
        connect(settings) as redis,
    ):
        await until_ready(client)
        yield Stack(settings, client), proxy, redis


async def test_waiting_for_redis_ends_when_it_comes_or_when_we_stop() -> None:
    server = Valkey()
    settings = make_settings(server.url)
    client: Any = connect(settings)
    waiting = asyncio.create_task(wait_until_up(client, asyncio.Event()))
    stopping = asyncio.Event()
    stopped = asyncio.create_task(wait_until_up(client, stopping))
    done, _ = await asyncio.wait({waiting, stopped}, timeout=0.3)
    assert not done
    stopping.set()
    assert await stopped is False
    await asyncio.to_thread(server.start)
    assert await waiting is True
    await client.aclose(close_connection_pool=True)
    server.stop()


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 500\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n12\r\n"],
)
async def test_a_body_that_was_cut_off_is_no_prompt(valkey: Valkey, head: bytes) -> None:
    settings = make_settings(valkey.url)
    redis: Any = connect(settings)
    async with running_stack(settings, ScriptedEngine()) as stack:
        port = stack.client.base_url.port
        assert port is not None
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\n" + head)
            connection.sendall(b'{"prompt": "half"}\r\n')
        await stack.ask("a whole one")  # accepted later than the half one would have been
        assert await accepted(redis, Keys(settings.namespace)) == 1
    await redis.aclose(close_connection_pool=True)


async def test_a_connection_that_breaks_while_a_worker_starts_does_not_end_it(
    valkey: Valkey, tmp_path: Path
) -> None:
    """arq asks for the server's figures when it begins."""
    settings = make_settings(valkey.url)
    async with running_proxy(tmp_path, valkey.socket, mark=b"DBSIZE", times=2) as (url, proxy):
        behind = make_settings(url, PALAVER_NAMESPACE=settings.namespace)
        async with running_api(settings) as client, running_worker(behind, ScriptedEngine()):
            await until_ready(client)
            answer = await client.post("/", json={"prompt": "Still there?"})
    assert answer.status_code == 200
    assert proxy.lost == 2
