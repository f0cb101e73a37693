"""A worker's turns from several cells: whose bell has rung, which line is next, who ends a turn.

The worker has one set of slots. In each of its cells it counts as having free ones until it has
taken turns for all of them there; a bell that comes when others have filled them is passed on.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from redis.exceptions import RedisError

from shared.cells import Cells
from shared.errors import TurnFailed
from shared.process.tasks import end
from shared.store.claims import Claims
from shared.store.connection import REDIS_UNAVAILABLE, trouble
from shared.wire.claim import Claim
from worker.bells import BellReader
from worker.cell import BuiltCell
from worker.claimer import Claimer
from worker.running_turn import RunningTurn, RunningTurns

log = logging.getLogger(__name__)

_PATIENCE_S: Final = 1.0
"""How long others wait for the answer of a cell."""
_PAUSE_S: Final = 0.2
"""Between an error of Redis and the next read of bells."""


class CellLine:
    """What a worker knows of the line of one cell.

    Args:
        bells: its own there.
        claimer: takes turns there.
        patience_s: how long others wait for its answer.
    """

    def __init__(
        self, cell: int, bells: BellReader, claimer: Claimer, *, patience_s: float = _PATIENCE_S
    ) -> None:
        self.cell = cell
        self._patience_s = patience_s
        self.bells = bells
        self.claimer = claimer
        self.since_s: float | None = None
        """Since when a turn may wait there; None if none does, and the bell will ring."""
        self._news = 0
        self._asked: asyncio.Task[list[Claim]] | None = None

    @property
    def age(self) -> float | None:
        """When its first turn may have come; None if there is nothing to ask for now."""
        if self._asked is None:
            return self.since_s
        return 0.0 if self._asked.done() else None

    def rung(self) -> None:
        """A turn has come."""
        self._news += 1
        if self.since_s is None:
            self.since_s = time.monotonic()

    async def take(self, number: int, busy: int, on_late: Callable[[], None]) -> list[Claim]:
        """Take turns; none if the cell does not answer soon: they come with a later call.

        Args:
            on_late: called when they are there.
        """
        if self._asked is None:
            self._asked = asyncio.create_task(self._take(number, busy), name=f"take {self.cell}")
        await asyncio.wait({self._asked}, timeout=self._patience_s)
        if not self._asked.done():
            self._asked.add_done_callback(lambda _: on_late())
            return []
        asked, self._asked = self._asked, None
        try:
            return asked.result()
        except (RedisError, OSError) as error:
            # What other cells have given stays.
            trouble.met(error)
            return []

    async def _take(self, number: int, busy: int) -> list[Claim]:
        news = self._news
        claims = await self.claimer.take(number, busy)
        if len(claims) == number and claims:
            # The next one there has waited about as long as the last of these.
            self.since_s = time.monotonic() - claims[-1].waited_ms / 1000
        elif number and self._news == news:
            self.since_s = None
        return claims

    async def pass_on(self, busy: int) -> None:
        """Let another worker be woken: no slot is free here."""
        with contextlib.suppress(*REDIS_UNAVAILABLE, RedisError):
            await self.claimer.take(0, busy)

    async def close(self) -> None:
        """Wait for no answer any more."""
        if self._asked is not None:
            await end(self._asked)
        await self.bells.close()


class AllLines:
    """The bells and the lines of all cells of a worker, as if they were one.

    Args:
        running: the turns that run.
        slots: how many may.
    """

    def __init__(
        self, cells: Cells, lines: Sequence[CellLine], running: RunningTurns, slots: int
    ) -> None:
        self._cells = cells
        self._lines = {line.cell: line for line in lines}
        self._running = running
        self._slots = slots
        self._woken = asyncio.Event()
        self.lock = lines[0].claimer.lock

    # Bells.

    async def listen(self, cell: int) -> None:
        """Take turns of a cell, and hear its bells, until cancelled."""
        line, name = self._lines[cell], f"bells {cell}"
        line.rung()
        self._woken.set()
        while True:
            try:
                if await line.bells.next():
                    await self._rung(line)
                trouble.over(name)
            except (RedisError, OSError) as error:
                trouble.met(error, name)
                line.bells.reset()
                line.rung()
                await asyncio.sleep(_PAUSE_S)

    async def _rung(self, line: CellLine) -> None:
        line.rung()
        if len(self._running) >= self._slots:
            await line.pass_on(len(self._running))
            line.rung()
        self._woken.set()

    async def next(self) -> bool:
        """Wait until a bell has rung, or the wait is ended."""
        await self._woken.wait()
        self._woken.clear()
        return True

    def reset(self) -> None:
        """Nothing to do: each cell's bells are read again by themselves."""

    async def unblock(self) -> None:
        """End the wait."""
        self._woken.set()

    async def close(self) -> None:
        """Close the connections of the reads."""
        for line in self._lines.values():
            await line.close()

    # Lines.

    async def take(self, number: int, busy: int) -> list[Claim]:
        """Take up to so many turns, first where one may have waited longest."""
        claims: list[Claim] = []
        for line in self._by_age():
            if len(claims) >= number:
                break
            left = number - len(claims)
            claims += await line.take(left, busy + len(claims), self._woken.set)
        return claims

    def _by_age(self) -> list[CellLine]:
        ages = [(line.age, line.cell) for line in self._lines.values() if line.age is not None]
        return [self._lines[cell] for _, cell in sorted(ages)]

    def may_have_more(self, turn: RunningTurn) -> bool:
        """Whether a turn may wait for the slot of one that has ended."""
        if turn.more_wait:
            self._lines[self._cells.of_job(turn.claim.job_id)].rung()
        return bool(self._by_age())


class AllRepliers:
    """Has each turn answered, and ended, in its cell."""

    def __init__(self, cells: Cells, served: Sequence[BuiltCell]) -> None:
        self._cells = cells
        self._served = {each.parts.cell: each for each in served}

    async def reply(self, turn: RunningTurn) -> None:
        """Run a turn in its cell."""
        await self._cell_of(turn).replier.reply(turn)

    async def fail(self, turn: RunningTurn, error: TurnFailed) -> None:
        """End it with an error."""
        await self._cell_of(turn).closer.fail(turn, error)

    def _cell_of(self, turn: RunningTurn) -> BuiltCell:
        return self._served[self._cells.of_job(turn.claim.job_id)]


class AllShields:
    """Marks turns of all cells as not being evaluated."""

    def __init__(self, cells: Cells, claims: Mapping[int, Claims]) -> None:
        self._cells = cells
        self._claims = claims

    async def shield(
        self, claims: Sequence[Claim], *, on: bool, cleared: Claim | None = None
    ) -> None:
        """As in one cell; in one that is away, a worker's death counts against its turns."""
        for cell, of_cell in self._claims.items():
            here = [claim for claim in claims if self._cells.of_job(claim.job_id) == cell]
            is_cleared = cleared is not None and self._cells.of_job(cleared.job_id) == cell
            if here or is_cleared:
                await self._shield(of_cell, here, on=on, cleared=cleared if is_cleared else None)

    async def _shield(
        self, of_cell: Claims, here: Sequence[Claim], *, on: bool, cleared: Claim | None
    ) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await of_cell.shield(here, on=on, cleared=cleared)
        except (TimeoutError, *REDIS_UNAVAILABLE) as error:
            log.warning("shields: %s", str(error) or "Redis does not answer")
