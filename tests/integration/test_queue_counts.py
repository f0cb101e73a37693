"""The counts that storms and state machines go by find what is wrong in a queue, no more."""

from collections.abc import Awaitable, Callable

import pytest

from tests.counts import wrong_counts
from tests.integration.bench import POOL, Bench, completion

Damage = Callable[[Bench, str], Awaitable[object]]


async def a_queue(bench: Bench) -> tuple[str, str, str]:
    """A turn that runs, one that is ready and one that is held, of three conversations."""
    await bench.serve("w1", "w2")
    await bench.submit()
    warm = await bench.claim("w1")
    await bench.claims.commit(warm, completion(warm, saves_ms=5000))
    await bench.submit()
    running = await bench.claim("w1")
    ready = await bench.submit()
    held = await bench.submit(warm.conversation_id)
    return running.job_id, ready.job_id, held.job_id


async def test_nothing_is_wrong_with_a_queue_that_the_scripts_have_left(bench: Bench) -> None:
    await a_queue(bench)
    assert await wrong_counts(bench.redis, bench.keys) == []


async def _out_of_line(bench: Bench, job: str) -> None:
    await bench.redis.zrem(bench.keys.line(POOL), f"default {job}")


async def _nowhere(bench: Bench, job: str) -> None:
    await bench.redis.zrem(bench.keys.ready(POOL, "default"), job)
    await bench.redis.zrem(bench.keys.hold(POOL), job)


async def _twice(bench: Bench, job: str) -> None:
    await bench.redis.zadd(bench.keys.ready(POOL, "default"), {job: 9})
    await bench.redis.zadd(bench.keys.hold(POOL), {job: 9})


async def _no_home(bench: Bench, job: str) -> None:
    await bench.redis.delete(bench.keys.own("w1"))


async def _other_home(bench: Bench, job: str) -> None:
    await bench.redis.zadd(bench.keys.own("w2"), {job: 9})


async def _no_lease(bench: Bench, job: str) -> None:
    await bench.redis.delete(bench.keys.leases)


async def _no_fence(bench: Bench, job: str) -> None:
    await bench.redis.hdel(bench.keys.job(job), "token")


async def _ended(bench: Bench, job: str) -> None:
    await bench.redis.hset(bench.keys.job(job), "status", "completed")


async def _no_owner(bench: Bench, job: str) -> None:
    await bench.redis.delete(bench.keys.owners(POOL))


async def _miscounted(bench: Bench, job: str) -> None:
    await bench.redis.hincrby(bench.keys.waits, "default", 1)


async def _drains(bench: Bench, job: str) -> None:
    await bench.redis.hset(bench.keys.worker("w2"), "draining", "1")


RUNNING, READY, HELD = range(3)


@pytest.mark.parametrize(
    ("damage", "turn", "complaint"),
    [
        (_out_of_line, READY, "is in line by tag none"),
        (_nowhere, READY, "is ready and held 0 times"),
        (_nowhere, HELD, "is ready and held 0 times"),
        (_twice, READY, "is ready and held 2 times"),
        (_twice, RUNNING, "is held and may not start"),
        (_no_home, HELD, "is held for nobody"),
        (_other_home, RUNNING, "is own of w2 and may not start"),
        (_other_home, HELD, "is own of w2 but not at home"),
        (_no_lease, RUNNING, "runs without a lease"),
        (_no_fence, RUNNING, "runs without a fence"),
        (_ended, RUNNING, "has ended and is open: completed"),
        (_ended, READY, "is in line and does not wait"),
        (_ended, HELD, "is held and may not start"),
        (_no_owner, READY, "is not among the owners with something ready"),
        (_miscounted, READY, "waits 3 times"),
        (_drains, READY, "takes no turns of scripted and is free"),
    ],
)
async def test_what_is_wrong_is_named(
    bench: Bench, damage: Damage, turn: int, complaint: str
) -> None:
    turns = await a_queue(bench)
    await damage(bench, turns[turn])
    assert any(complaint in one for one in await wrong_counts(bench.redis, bench.keys))
