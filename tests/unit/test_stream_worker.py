"""When a worker takes turns: a bell rings, or one of its turns ends and leaves another one."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from shared.wire.claim import Claim
from shared.wire.sampling import Sampling
from shared.wire.turn_request import TurnRequest
from worker.bells import BellReader
from worker.claimer import Claimer
from worker.idle import Idle
from worker.reply import Replier
from worker.running_turn import CancelReason, RunningTurn, RunningTurns
from worker.stream_worker import StreamWorker
from worker.turn_closer import TurnCloser


class Bells:
    """Silent: a read ends only when it is told to."""

    def __init__(self) -> None:
        self.reading = asyncio.Event()
        self._unblocked = asyncio.Event()

    async def next(self) -> bool:
        self.reading.set()
        await self._unblocked.wait()
        self._unblocked.clear()
        self.reading.clear()
        return False

    async def unblock(self) -> None:
        self._unblocked.set()

    async def close(self) -> None:
        """Nothing to close."""


class Line:
    """Gives one turn, and counts how often it was asked for some."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.calls: asyncio.Queue[int] = asyncio.Queue()
        self._claims = [claim()]

    async def take(self, number: int, busy: int) -> list[Claim]:
        self.calls.put_nowait(number)
        taken, self._claims = self._claims[:number], self._claims[number:]
        return taken

    def may_have_more(self, turn: RunningTurn) -> bool:
        return turn.more_wait


class Reply:
    """Ends when it may; then another turn waits, or none does."""

    def __init__(self, *, more: bool) -> None:
        self.may_end = asyncio.Event()
        self._more = more

    async def reply(self, turn: RunningTurn) -> None:
        await self.may_end.wait()
        turn.more_wait = self._more


def claim() -> Claim:
    return Claim(
        job_id="a" * 32,
        fence="1:x",
        conversation_id="1",
        request=TurnRequest(prompt="Hello", context=None, replace_from=None, sampling=Sampling()),
        suspect=False,
        is_stopped=False,
        owner_id="default",
        session="1",
        crashes=0,
        created_ms=0,
        started_ms=0,
        remaining_s=60,
        history=None,
    )


class Scene:
    """A worker with two slots that has taken the only turn and waits for its bell."""

    def __init__(self, *, more: bool) -> None:
        self.bells, self.line, self.replier = Bells(), Line(), Reply(more=more)
        self.worker = StreamWorker(
            Redis(),
            cast(BellReader, self.bells),
            cast(Claimer, self.line),
            cast(Replier, self.replier),
            cast(TurnCloser, None),
            running=RunningTurns(),
            idle=Idle(),
            slots=2,
        )

    async def work(self) -> None:
        """What arq's main loop does, without its report about Redis."""
        while True:
            await self.worker._poll_iteration()


@pytest.fixture
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    scene = Scene(more=request.param)
    task: asyncio.Task[Any] = asyncio.create_task(scene.work())
    assert await scene.line.calls.get() == 2
    await scene.bells.reading.wait()
    yield scene
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("scene", [True], indirect=True)
async def test_a_turn_that_ends_and_leaves_another_one_needs_no_bell(scene: Scene) -> None:
    scene.replier.may_end.set()
    async with asyncio.timeout(5):
        assert await scene.line.calls.get() == 2, "it looks again, for both slots"


@pytest.mark.parametrize("scene", [False], indirect=True)
async def test_a_turn_that_ends_and_leaves_none_is_no_reason_to_look(scene: Scene) -> None:
    scene.replier.may_end.set()
    while scene.worker.job_counter:
        await asyncio.sleep(0)
    await scene.bells.unblock()
    await scene.bells.reading.wait()
    assert scene.line.calls.empty()


async def test_a_turn_whose_end_is_being_written_is_cancelled_by_a_stop_alone() -> None:
    """That it is not this worker's any more may be what this worker has just written."""
    turn = RunningTurn(claim(), is_closing=True)
    turn.cancel(CancelReason.FENCED)
    assert turn.cancel_reason is None
    turn.cancel(CancelReason.DRAIN)
    assert turn.cancel_reason is CancelReason.DRAIN
