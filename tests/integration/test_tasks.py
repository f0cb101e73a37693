"""Tasks end when they are told to, also in the middle of a command to Redis."""

import asyncio

from redis.asyncio import Redis

from api.server import connect_api
from shared.config import Settings
from shared.process.tasks import end

STEPS = 40
"""Of the event loop; a first command has been sent and answered by then."""


async def looking(redis: Redis) -> None:
    while True:
        await redis.info("memory")
        await asyncio.sleep(0.01)


async def test_a_task_ends_wherever_its_command_is(settings: Settings) -> None:
    for steps in range(STEPS):
        redis = connect_api(settings)
        task = asyncio.create_task(looking(redis))
        for _ in range(steps):
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await end(task)
        assert task.done()
        await redis.aclose(close_connection_pool=True)


async def test_what_has_ended_is_let_be() -> None:
    async def fail() -> None:
        raise ValueError

    failed = asyncio.create_task(fail())
    await asyncio.wait({failed})
    await end(failed)
    await end()
