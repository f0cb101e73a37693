"""One pub/sub connection for all readers of an API process, none of whom holds up another."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from api.live.feed import EventFeed
from api.live.watch import FeedLost, Watch
from shared import ids
from shared.config import Settings
from shared.process.tasks import Background
from shared.store.connection import connect
from shared.store.keys import Keys
from shared.store.list_log import ListLog
from shared.wire.publication import PieceRecord
from shared.wire.write_outcome import WriteOutcome
from tests.integration.bench import Bench, completion
from tests.servers import Valkey, make_settings, running_server, running_valkey
from tests.sse import all_events, received, text_of

PIECES = 3000
PIECE_LENGTH = 6000
"""Together far more than what the kernel's and our own buffers take."""


async def heard(watch: Watch) -> list[str]:
    async with asyncio.timeout(10):
        return [event.kind for event in await watch.events()]


async def test_readers_of_one_job_share_a_subscription_until_the_last_leaves(bench: Bench) -> None:
    submission = await bench.submit()
    doorbell = bench.keys.doorbell(submission.job_id)
    async with running_feed(bench) as feed:
        async with feed.watch(submission.job_id) as stays:
            async with feed.watch(submission.job_id) as leaves:
                assert await heard(stays) == await heard(leaves) == ["queued"]
            await bench.claim()
            assert await heard(stays) == ["started"]
            assert await bench.redis.pubsub_numsub(doorbell) == [(doorbell, 1)]
        async with feed.watch(submission.job_id) as comes:
            assert await heard(comes) == ["queued", "started"]
        # What is sent on one connection happens in order: the last subscription has ended by now.
        async with feed.watch("0" * 32):
            assert await bench.redis.pubsub_numsub(doorbell) == [(doorbell, 0)]


async def test_many_readers_that_come_at_once_subscribe_once() -> None:
    async with a_bench_of_its_own() as (bench, _):
        submission = await bench.submit()
        async with running_feed(bench) as feed:
            come, leave = asyncio.Barrier(51), asyncio.Event()

            async def read() -> None:
                async with feed.watch(submission.job_id) as watch:
                    assert await heard(watch) == ["queued"]
                    await come.wait()
                    await leave.wait()

            readers = [asyncio.create_task(read()) for _ in range(50)]
            await come.wait()
            calls = await bench.redis.info("commandstats")
            leave.set()
            await asyncio.gather(*readers)
    assert calls["cmdstat_subscribe"]["calls"] == 2, "the inbox and one doorbell"
    assert calls["cmdstat_xrange"]["calls"] == 50, "each has read the log once"


async def test_who_leaves_while_redis_is_away_is_not_listened_for_afterwards() -> None:
    async with a_bench_of_its_own() as (bench, server):
        submission = await bench.submit()
        async with running_feed(bench) as feed:
            async with feed.watch(submission.job_id):
                server.kill()
                await until(lambda: not feed.is_connected)
            server.start()
            await until(lambda: feed.is_connected)
            channels = await bench.redis.pubsub_channels()
    assert channels == [bench.keys.inbox(feed.api_id)]


async def test_readers_of_lost_jobs_are_dropped_and_those_of_lists_stay(bench: Bench) -> None:
    changes = ListLog(bench.redis, bench.keys)
    after = await changes.position("alice")
    async with (
        running_feed(bench, check_s=0.01) as feed,
        feed.watch_list("alice", changes, after) as of_list,
        feed.watch(ids.new_job()) as of_job,
    ):
        with pytest.raises(FeedLost, match="the job is gone"):
            await heard(of_job)
        await bench.submit(owner="alice")
        assert await heard(of_list) == ["created"]


@contextlib.asynccontextmanager
async def a_bench_of_its_own() -> AsyncIterator[tuple[Bench, Valkey]]:
    """A server that is nobody else's, and the scripts on it."""
    with running_valkey() as server:
        settings = make_settings(server.url)
        async with connect(settings) as redis:
            bench = Bench(redis, Keys(settings.namespace), settings)
            await bench.serve()
            yield bench, server


@contextlib.asynccontextmanager
async def running_feed(bench: Bench, check_s: float = 5.0) -> AsyncIterator[EventFeed]:
    feed = EventFeed(bench.redis, bench.keys, bench.events, check_s=check_s)
    background = Background()
    feed.start(background)
    yield feed
    await background.close()
    await feed.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)


@pytest.mark.slow
async def test_a_slow_reader_is_dropped_blocks_nobody_and_may_resume(
    bench: Bench, settings: Settings
) -> None:
    submission = await bench.submit()
    claim = await bench.claim()
    path = f"/jobs/{submission.job_id}/events"
    narrow = httpx.AsyncHTTPTransport(
        socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)]
    )
    async with (
        running_server(settings) as (_, client),
        httpx.AsyncClient(base_url=client.base_url, transport=narrow) as slow_client,
        slow_client.stream("GET", path) as response,
    ):
        slow = received(response)
        seen = [await anext(slow)]
        reading = asyncio.create_task(all_events(client, path))
        for number in range(PIECES):
            piece = PieceRecord(text=f"{number} ".ljust(PIECE_LENGTH, "."), token_ids=(number,))
            await bench.claims.publish(claim, number, piece)
        assert (await bench.claims.commit(claim, completion(claim))).outcome is WriteOutcome.OK
        whole = await reading
        with pytest.raises(httpx.RemoteProtocolError):
            seen += [event async for event in slow]
        rest = await all_events(client, path, params={"after": seen[-1].id})
    assert [event.kind for event in whole[-2:]] == ["token", "completed"]
    assert len(text_of(whole)) == PIECES * PIECE_LENGTH
    assert [event.id for event in seen + rest] == [event.id for event in whole]
    assert text_of(seen + rest) == text_of(whole)
