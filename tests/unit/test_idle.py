"""Work beside turns, and how it gives way."""

import asyncio

import pytest

from worker.idle import Idle


async def test_work_is_done_to_its_end_while_nothing_runs() -> None:
    done: list[int] = []

    async def work() -> None:
        await asyncio.sleep(0)
        done.append(1)

    assert await Idle().work(work()) is True
    assert done == [1]


async def test_a_turn_that_begins_cancels_it() -> None:
    idle, began, cancelled = Idle(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    working = asyncio.create_task(idle.work(work()))
    await began.wait()
    idle.turn_begins()
    assert await working is False
    assert cancelled.is_set()


async def test_while_a_turn_runs_nothing_is_begun() -> None:
    idle = Idle()
    idle.turn_begins()
    assert await idle.work(asyncio.sleep(60)) is False


async def test_it_is_idle_when_the_last_turn_has_ended() -> None:
    idle = Idle()
    idle.turn_begins()
    idle.turn_begins()
    waiting = asyncio.create_task(idle.until_idle())
    idle.turn_ended()
    await asyncio.sleep(0)
    assert not waiting.done()
    assert idle.num_turns == 1
    idle.turn_ended()
    await waiting


async def test_what_goes_wrong_is_told() -> None:
    async def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await Idle().work(work())


async def test_whoever_waits_for_it_can_be_cancelled() -> None:
    idle, began, ended = Idle(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    working = asyncio.create_task(idle.work(work()))
    await began.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert ended.is_set()
