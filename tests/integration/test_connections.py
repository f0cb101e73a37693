"""However many clients wait, an API process has few connections to Redis, shared in turn."""

import asyncio
import contextlib
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from redis.asyncio import Redis
from redis.exceptions import ConnectionError

from api.live.watch import Watch
from api.server import connect_api
from shared.config import Settings
from shared.process.embedded import server_binary
from shared.store.connection import connect, wait_until_up
from shared.store.event_log import EventLog
from shared.store.pool import BoundedPool
from shared.store.replicas import Replicas
from shared.wire.event import Event
from tests.integration.bench import Bench
from tests.integration.test_jobs import Gate, submit
from tests.scripted import ScriptedEngine
from tests.servers import free_port, make_settings, running_server, running_stack, running_valkey
from tests.sse import all_events, text_of

MOST_CONNECTIONS = 10
NO_JOB = f"/jobs/{'0' * 32}"


async def test_however_many_wait_an_api_has_ten_connections() -> None:
    gate = Gate()
    engine = ScriptedEngine(slots=1, step=gate, piece_length=3)
    with running_valkey() as server:
        settings = make_settings(server.url)
        async with running_stack(settings, engine) as stack, connect(settings) as redis:
            jobs = [await submit(stack.client, f"{number}") for number in range(5)]
            streams = [
                asyncio.create_task(all_events(stack.client, job["links"]["events"]))
                for job in jobs * 12
            ]
            # Scripts are not answered for a while, so that as many as can be are under way.
            await redis.client_pause(300, all=False)
            await asyncio.gather(*(submit(stack.client, f"{number}") for number in range(60)))
            gate.open()
            events = await asyncio.gather(*streams)
            names = [client["name"] for client in await redis.client_list()]
    assert [text_of(one) for one in events] == [f"You said: {n}" for n in range(5)] * 12
    # They are kept once they are made, so that these are all there ever were.
    assert 2 <= names.count(settings.namespace) <= MOST_CONNECTIONS


@pytest.mark.slow
async def test_when_redis_hangs_everybody_gets_an_error() -> None:
    with running_valkey() as server:
        settings = make_settings(server.url)
        async with running_server(settings, socket_timeout=0.2, wait_s=0.2) as (_, client):
            assert (await client.get(NO_JOB)).status_code == 404
            server.hang()
            asking = [client.get(NO_JOB) for _ in range(50)]
            answers = await asyncio.gather(*asking)
            prompt = await client.post("/jobs", json={"prompt": "Hi"})
            server.go_on()
            after = await client.get(NO_JOB)
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.json()["code"] for answer in answers} == {"redis_away"}
    assert (prompt.status_code, prompt.json()["code"]) == (503, "outcome_unknown")
    assert after.status_code == 404


class NotingLog(EventLog):
    """Notes when a log could not be read."""

    failed: asyncio.Event

    async def follow(self, job_id: str, after: str) -> list[Event]:
        try:
            return await super().follow(job_id, after)
        except ConnectionError:
            self.failed.set()
            raise


async def test_a_reader_that_finds_no_connection_free_misses_nothing(
    bench: Bench, settings: Settings
) -> None:
    submission = await bench.submit()
    client, pool = one_connection(settings)
    log = NotingLog(client, bench.keys, Replicas(client, bench.keys, 0))
    log.failed = asyncio.Event()
    busy = await pool.get_connection()
    reading = asyncio.create_task(Watch(submission.job_id, log, None, replay=True).events())
    await log.failed.wait()
    await pool.release(busy)
    assert [event.kind for event in await reading] == ["queued"]
    await client.aclose(close_connection_pool=True)


def one_connection(settings: Settings) -> tuple[Redis, BoundedPool]:
    client = connect(settings, max_connections=1, wait_s=0.05)
    assert isinstance(client.connection_pool, BoundedPool)
    return client, client.connection_pool


async def test_connections_are_given_in_the_order_of_asking(settings: Settings) -> None:
    client: Any = connect(settings, max_connections=1, wait_s=30)
    pool = client.connection_pool
    served: list[int] = []

    async def use(number: int) -> None:
        connection = await pool.get_connection()
        served.append(number)
        await pool.release(connection)

    busy = await pool.get_connection()
    waiting = [asyncio.create_task(use(number)) for number in range(5)]
    await asyncio.sleep(0)
    waiting[2].cancel()
    await pool.release(busy)
    waiting.append(asyncio.create_task(use(5)))
    await asyncio.gather(*waiting, return_exceptions=True)
    await client.aclose(close_connection_pool=True)
    assert served == [0, 1, 3, 4, 5]


async def test_who_waited_in_vain_leaves_no_connection_behind(settings: Settings) -> None:
    client, pool = one_connection(settings)
    busy = await pool.get_connection()
    for _ in range(3):
        with pytest.raises(ConnectionError, match="busy"):
            await client.ping()
    await pool.release(busy)
    assert await client.ping() is True
    await client.aclose(close_connection_pool=True)


async def test_a_connection_that_cannot_be_made_takes_no_place(tmp_path: Path) -> None:
    client, _ = one_connection(make_settings(f"unix://{tmp_path}/nobody"))
    for _ in range(3):
        with pytest.raises(ConnectionError, match="connecting"):
            await client.ping()


@contextlib.contextmanager
def running_sentinel(folder: Path, primary: int) -> Iterator[int]:
    """A Sentinel that knows the primary as `chat`; yields its port."""
    port, configuration = free_port(), folder / "sentinel.conf"
    configuration.write_text(
        f"port {port}\nbind 127.0.0.1\nsentinel monitor chat 127.0.0.1 {primary} 1\n"
    )
    command = [str(server_binary()), str(configuration), "--sentinel"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


async def test_a_primary_behind_sentinels_is_reached_by_as_few(tmp_path: Path) -> None:
    primary = free_port()
    with (
        running_valkey("--port", str(primary)) as server,
        running_sentinel(tmp_path, primary) as sentinel,
    ):
        settings = make_settings(f"sentinel://127.0.0.1:{sentinel}/chat")
        client: Any = connect_api(settings, client_name="bounded")
        unbounded: Any = connect(settings)
        assert await wait_until_up(client, asyncio.Event())
        answers = await asyncio.gather(*(client.incr("asked") for _ in range(200)))
        direct: Any = connect(make_settings(server.url))
        names = [one["name"] for one in await direct.client_list()]
        assert await unbounded.get("asked") == "200"
        sentinels = [
            pool.sentinel_manager.sentinels[0]
            for pool in (client.connection_pool, unbounded.connection_pool)
        ]
        for one in (client, unbounded, direct, *sentinels):
            await one.aclose(close_connection_pool=True)
    assert sorted(answers) == list(range(1, 201))
    assert 2 <= names.count("bounded") <= MOST_CONNECTIONS


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost:6379/0",
        "rediss://user:password@redis.example:6380",
        "unix:///run/redis.sock",
        "sentinel://a:1,b:2/primary",
        "sentinels://a/primary?db=1",
    ],
)
def test_every_kind_of_url_is_bounded(url: str) -> None:
    pool: Any = connect_api(make_settings(url)).connection_pool
    assert isinstance(pool, BoundedPool)
    assert pool.max_connections < MOST_CONNECTIONS
    unbounded: Any = connect(make_settings(url)).connection_pool
    assert not isinstance(unbounded, BoundedPool)
    assert unbounded.connection_class is pool.connection_class


def test_writing_to_a_transport_that_is_closed_already_is_a_lost_connection(
    settings: Settings,
) -> None:
    """uvloop refuses it by an error of its own, which nobody would try again after."""

    async def write() -> None:
        async with connect(settings) as redis:
            connection = await redis.connection_pool.get_connection()
            transport = connection._writer.transport
            transport.abort()
            await asyncio.sleep(0)
            try:
                with pytest.raises(ConnectionError):
                    await connection.send_command("PING", check_health=False)
                assert not connection.is_connected
            finally:
                await redis.connection_pool.release(connection)
            assert await redis.ping()

    uvloop.run(write())


async def test_an_answer_that_nobody_read_is_not_taken_for_the_next_one(settings: Settings) -> None:
    client, pool = one_connection(settings)
    connection: Any = await pool.get_connection()
    await connection.send_command("ECHO", "old")
    await until(lambda: connection.can_read_destructive())
    await pool.release(connection)
    assert await client.echo("new") == "new"
    await client.aclose(close_connection_pool=True)


async def test_a_connection_that_the_server_has_closed_is_made_again(settings: Settings) -> None:
    client, pool = one_connection(settings)
    number = await client.client_id()
    connection: Any = await pool.get_connection()
    await pool.release(connection)
    async with connect(settings) as other:
        assert await other.client_kill_filter(_id=str(number)) == 1
    await until(lambda: is_closed(connection))
    connection = await pool.get_connection()
    assert await connection.can_read_destructive() is False
    await pool.release(connection)
    assert await client.client_id() != number
    await client.aclose(close_connection_pool=True)


async def is_closed(connection: Any) -> bool:
    try:
        await connection.can_read_destructive()
    except ConnectionError:
        return True
    return False


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.001)
