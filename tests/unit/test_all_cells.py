"""From which of its cells a worker takes its next turn."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from shared.cells import Cells
from shared.config import Settings
from shared.wire.claim import Claim
from tests.unit.test_stream_worker import claim
from worker.all_cells import AllLines, CellLine
from worker.bells import BellReader
from worker.claimer import Claimer
from worker.running_turn import RunningTurn, RunningTurns

CELLS = Cells(Settings(_env_file=None, PALAVER_CELLS=3))
SLOTS = 2


class Bells:
    """Ring when they are told to."""

    def __init__(self) -> None:
        self._rung: asyncio.Queue[bool] = asyncio.Queue()

    def ring(self) -> None:
        self._rung.put_nowait(True)

    async def next(self) -> bool:
        return await self._rung.get()

    def reset(self) -> None: ...

    async def close(self) -> None: ...


class Line:
    """Turns that wait in one cell; it can be away."""

    def __init__(self, cell: int) -> None:
        self.cell = cell
        self.lock = asyncio.Lock()
        self.waiting: list[Claim] = []
        self.asked: list[int] = []
        self.is_here = asyncio.Event()
        self.is_here.set()
        self.passed_on = asyncio.Event()

    def wait(self, number: int, waited_ms: int = 0) -> None:
        """So many turns wait for as long."""
        for _ in range(number):
            job_id = CELLS.new_job(self.cell)
            self.waiting.append(dataclasses.replace(claim(), job_id=job_id, waited_ms=waited_ms))

    async def take(self, number: int, _busy: int) -> list[Claim]:
        self.asked.append(number)
        await self.is_here.wait()
        if number == 0:
            self.passed_on.set()
        taken, self.waiting = self.waiting[:number], self.waiting[number:]
        return taken


class Scene:
    """A worker with two slots and three cells, which it has looked through."""

    def __init__(self) -> None:
        self.bells = [Bells() for _ in CELLS.all]
        self.lines = [Line(cell) for cell in CELLS.all]
        self.running: RunningTurns = {}
        parts = [
            CellLine(
                cell,
                cast(BellReader, self.bells[cell]),
                cast(Claimer, self.lines[cell]),
                patience_s=0.05,
            )
            for cell in CELLS.all
        ]
        self.all = AllLines(CELLS, parts, self.running, SLOTS)

    async def take(self, number: int = SLOTS) -> list[int]:
        """The cells of the turns that are taken; they run from now on."""
        claims = await self.all.take(number, len(self.running))
        for each in claims:
            self.running[each.arq_id] = RunningTurn(each)
        return [CELLS.of_job(each.job_id) for each in claims]

    def end_one(self, *, more: bool) -> bool:
        """A turn ends, and another one of its cell waits or does not: whether to look again."""
        turn = self.running.pop(next(iter(self.running)))
        turn.more_wait = more
        return self.all.may_have_more(turn)

    async def woken(self) -> None:
        async with asyncio.timeout(5):
            await self.all.next()


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    listening = [asyncio.create_task(scene.all.listen(cell)) for cell in CELLS.all]
    await scene.woken()
    assert await scene.take() == []
    for line in scene.lines:
        line.asked.clear()
    yield scene
    for task in listening:
        task.cancel()
    await asyncio.gather(*listening, return_exceptions=True)
    await scene.all.close()


async def test_a_cell_without_a_bell_is_not_asked(scene: Scene) -> None:
    scene.lines[1].wait(1)
    scene.bells[1].ring()
    await scene.woken()
    assert await scene.take() == [1]
    assert [line.asked for line in scene.lines] == [[], [2], []]


async def test_where_turns_have_waited_longest_comes_first(scene: Scene) -> None:
    for cell, waited_ms in ((0, 0), (2, 60_000)):
        scene.lines[cell].wait(4, waited_ms)
        scene.bells[cell].ring()
        await scene.woken()
    assert await scene.take(1) == [0], "its bell was the first"
    assert await scene.take(1) == [2], "those behind it in the other cell came later"
    scene.end_one(more=True)
    assert await scene.take(1) == [2], "here they have waited for a minute"


async def test_a_bell_that_finds_no_free_slot_is_passed_on(scene: Scene) -> None:
    scene.lines[0].wait(SLOTS)
    scene.bells[0].ring()
    await scene.woken()
    await scene.take()
    scene.lines[1].wait(1)
    scene.bells[1].ring()
    async with asyncio.timeout(5):
        await scene.lines[1].passed_on.wait()
    await scene.woken()
    assert scene.end_one(more=False), "where it was passed on, nobody rings again"
    assert await scene.take(1) == [1]


async def test_a_turn_that_ends_and_leaves_none_is_no_reason_to_look(scene: Scene) -> None:
    scene.lines[0].wait(1)
    scene.bells[0].ring()
    await scene.woken()
    await scene.take()
    assert not scene.end_one(more=False)


async def test_a_cell_that_is_away_delays_no_other_and_loses_nothing(scene: Scene) -> None:
    scene.lines[0].is_here.clear()
    for cell in (0, 1):
        scene.lines[cell].wait(1)
        scene.bells[cell].ring()
        await scene.woken()
    assert await scene.take() == [1]
    scene.lines[0].is_here.set()
    await scene.woken()
    assert await scene.take() == [0]


async def test_a_bell_during_an_answer_is_not_lost(scene: Scene) -> None:
    scene.lines[0].is_here.clear()
    scene.bells[0].ring()
    await scene.woken()
    taking = asyncio.create_task(scene.take())
    while not scene.lines[0].asked:
        await asyncio.sleep(0)
    scene.bells[0].ring()
    await scene.woken()
    scene.lines[0].is_here.set()
    assert await taking == []
    scene.lines[0].wait(1)
    taken: Any = await scene.take()
    assert taken == [0]
