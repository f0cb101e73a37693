"""Places in the queue, the pace that gives the ETA, and who is told when places change."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

from api.live.places import Places
from api.live.watch import Watch
from shared.config import Settings
from shared.errors import QueueFull
from shared.process.tasks import Background
from shared.store.connection import REDIS_UNAVAILABLE, connect, wait_until_up
from shared.store.keys import Keys
from shared.store.submissions import Submissions
from shared.wire.event import Event
from shared.wire.place import Place
from shared.wire.submission import Submission
from tests.integration.bench import Bench
from tests.servers import Valkey, make_settings, running_valkey

EVERY_S = 0.02


async def positions(bench: Bench, submissions: Sequence[Submission]) -> list[int | None]:
    places = await bench.submissions.places([submission.job_id for submission in submissions])
    return [place.position if place is not None else None for place in places]


async def set_pace(bench: Bench, pace_ms: int) -> None:
    """Turns start so often, and one has started right now."""
    seconds, microseconds = await bench.redis.time()
    now_ms = seconds * 1000 + microseconds // 1000
    pace = {"time": pace_ms * 3, "starts": 3, "last": now_ms, "busy": 1}
    await bench.redis.hset(bench.of_pool("pace"), mapping=pace)


async def measured(bench: Bench) -> dict[str, str]:
    pace: dict[str, str] = await bench.redis.hgetall(bench.of_pool("pace"))
    return pace


async def test_a_place_counts_who_starts_before(bench: Bench) -> None:
    waiting = [await bench.submit() for _ in range(5)]
    stranger = await bench.submit(owner="somebody else")
    assert await positions(bench, [*waiting, stranger]) == [1, 3, 4, 5, 6, 2]
    await bench.submissions.cancel(waiting[1].job_id, "default")
    assert await positions(bench, waiting) == [1, None, 3, 4, 5]
    claimed = {(await bench.claim()).job_id, (await bench.claim()).job_id}
    assert claimed == {waiting[0].job_id, stranger.job_id}, "owners take turns"
    assert await positions(bench, waiting) == [None, None, 1, 2, 3]
    assert await bench.submissions.places(["0" * 32]) == [None]


async def test_the_eta_follows_the_pace(bench: Bench) -> None:
    jobs = [(await bench.submit()).job_id for _ in range(5)]
    assert [place and place.eta_seconds for place in await bench.submissions.places(jobs)] == [
        0.0
    ] * 5
    await set_pace(bench, 100_000)
    for number, place in enumerate(await bench.submissions.places(jobs)):
        assert place is not None
        # What has passed of the present interval is taken off, at most all of it.
        assert 100 * number <= place.eta_seconds <= 100 * (number + 1)


async def test_a_full_queue_names_the_pace(redis: Redis, valkey: Valkey) -> None:
    settings = make_settings(valkey.url, PALAVER_QUEUE_LIMIT=1)
    bench = Bench(redis, Keys(settings.namespace), settings)
    await bench.serve()
    await set_pace(bench, 7000)
    await bench.submit()
    with pytest.raises(QueueFull) as refused:
        await bench.submit()
    assert refused.value.wait_s == 7


async def test_the_pace_is_measured_only_while_turns_could_start(bench: Bench) -> None:
    first = await bench.submit()
    await bench.claim()
    await bench.submit()
    await bench.submit(first.conversation_id)
    await bench.claim()
    assert "time" not in await measured(bench), "nobody waited for a slot in between"
    for _ in range(3):
        await bench.submit()
    await bench.claim()
    assert "time" not in await measured(bench), "it was not waited for since the last start"
    await bench.claim()
    await bench.claim()
    pace = await measured(bench)
    assert float(pace["time"]) >= 0
    assert float(pace["starts"]) == pytest.approx(1.95)


class CountingSubmissions(Submissions):
    """Notes which jobs each look-up names."""

    def __init__(self, redis: Redis, keys: Keys, settings: Settings) -> None:
        super().__init__(redis, keys, settings)
        self.asked: list[tuple[str, ...]] = []
        self.looked = asyncio.Event()

    async def places(self, jobs: Sequence[str]) -> list[Place | None]:
        self.asked.append(tuple(jobs))
        self.looked.set()
        return await super().places(jobs)


class CountingWatch(Watch):
    """Counts how often its reader is woken."""

    deliveries = 0

    def deliver(self, news: Event | Place | None) -> None:
        self.deliveries += 1
        super().deliver(news)


class Watchers:
    """Readers of waiting turns, beside one another as in one API process."""

    def __init__(self, bench: Bench, settings: Settings) -> None:
        self._bench = bench
        self.submissions = CountingSubmissions(bench.redis, bench.keys, settings)
        self.places = Places(self.submissions, every_s=EVERY_S)

    def watch(self, submission: Submission, position: int) -> CountingWatch:
        place = Place(position=position, eta_seconds=0.0)
        queued = Event.queued("1-0", submission.job_id, submission.conversation_id, place)
        return CountingWatch(
            submission.job_id, self._bench.events, "1-0", replay=False, queued=queued
        )


@asynccontextmanager
async def watchers(bench: Bench, settings: Settings) -> AsyncIterator[Watchers]:
    here = Watchers(bench, settings)
    background = Background()
    background.start("places", here.places.run)
    yield here
    await background.close()


async def told(watch: Watch) -> Event:
    """The next that a reader hears."""
    async with asyncio.timeout(10):
        (event,) = await watch.events()
    return event


async def test_one_look_up_for_all_and_only_who_moved_is_woken(
    bench: Bench, settings: Settings
) -> None:
    waiting = [await bench.submit() for _ in range(300)]
    async with watchers(bench, settings) as here:
        with ExitStack() as following:
            all_watches = [here.watch(one, place) for place, one in enumerate(waiting, 1)]
            for watch in all_watches:
                following.enter_context(here.places.following(watch))
            await bench.submissions.cancel(waiting[100].job_id, "default")
            events = [await told(watch) for watch in all_watches[101:]]
            assert [event.position for event in events] == list(range(101, 300))
            assert {event.id for event in events} == {"1-0"}
            assert [watch.deliveries for watch in all_watches] == [0] * 101 + [1] * 199
        looks = [len(jobs) for jobs in here.submissions.asked[:3]]
        assert looks == [100, 100, 100], "Redis is never blocked for long"
        alone = here.watch(waiting[0], 7)
        here.submissions.asked.clear()
        with here.places.following(alone):
            assert (await told(alone)).position == 1
        assert set(here.submissions.asked) == {(waiting[0].job_id,)}


async def test_who_has_started_is_not_asked_for_again(bench: Bench, settings: Settings) -> None:
    first, second = await bench.submit(), await bench.submit()
    async with watchers(bench, settings) as here:
        watch, behind = here.watch(first, 1), here.watch(second, 2)
        with here.places.following(watch), here.places.following(behind):
            await bench.claim()
            assert (await told(behind)).position == 1
            here.submissions.asked.clear()
            await bench.submissions.cancel(second.job_id, "default")
            third = await bench.submit()
            late = here.watch(third, 5)
            with here.places.following(late):
                await told(late)
        assert not [jobs for jobs in here.submissions.asked if first.job_id in jobs]


async def test_a_place_that_comes_after_the_start_is_not_told(bench: Bench) -> None:
    submission = await bench.submit()
    queued = Event.queued(
        "1-0", submission.job_id, submission.conversation_id, Place(position=3, eta_seconds=1.0)
    )
    watch = Watch(submission.job_id, bench.events, "1-0", replay=False, queued=queued)
    watch.deliver(Event(id="2-0", kind="started", data="{}"))
    watch.move(Place(position=2, eta_seconds=0.5))
    watch.deliver(Event(id="3-0", kind="token", data="{}"))
    assert [(await told(watch)).kind, (await told(watch)).kind] == ["started", "token"]


async def test_places_are_looked_up_again_when_redis_is_back() -> None:
    async with AsyncExitStack() as parts:
        server = parts.enter_context(running_valkey("--appendfsync", "always"))
        settings = make_settings(server.url)
        redis: Any = await parts.enter_async_context(connect(settings))
        bench = Bench(redis, Keys(settings.namespace), settings)
        await bench.serve()
        before, submission = await bench.submit(), await bench.submit()
        here = await parts.enter_async_context(watchers(bench, settings))
        watch = here.watch(submission, 2)
        parts.enter_context(here.places.following(watch))
        server.kill()
        with pytest.raises(REDIS_UNAVAILABLE):
            await bench.submissions.places([])
        for _ in range(2):  # it goes on asking
            here.submissions.looked.clear()
            await here.submissions.looked.wait()
        server.start()
        await wait_until_up(redis, asyncio.Event())
        await bench.submissions.cancel(before.job_id, "default")
        assert (await told(watch)).position == 1
