"""Turns that may have ended a worker's process run while nothing else does.

A process that dies takes every turn with it that it held, and one of them may be why. All of them
are suspected, each until it has come past what it had emitted when the process died. A suspect is
evaluated alone; the other turns of its worker wait meanwhile and are shielded: should the process
die again, they are not charged with it (docs/decisions/0014).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from shared.store.claims import Claims
from shared.wire.claim import Claim
from worker.held import Held, Holdings
from worker.retry import retry

MARGIN: Final = 16
"""Tokens: the process may have died some of them behind the last one that was emitted."""


class Quarantine:
    """One suspect of a worker at a time.

    `claiming` is held while a turn is being claimed.

    Args:
        holdings: the turns that the worker holds.
    """

    def __init__(self, turns: Claims, holdings: Holdings) -> None:
        self.claiming = asyncio.Lock()
        self._turns = turns
        self._holdings = holdings
        self._trial: Trial | None = None
        self._lifting: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()
        self._over = asyncio.Event()
        self._over.set()

    @property
    def is_active(self) -> bool:
        """Whether a suspect is on trial: turns that are claimed now must be shielded."""
        return self._trial is not None

    @asynccontextmanager
    async def admit(self, held: Held) -> AsyncIterator["Trial | None"]:
        """Within it a turn may be evaluated; a suspect is on trial until it has passed."""
        if not held.claim.suspect:
            while self.is_active:
                await self._over.wait()
            yield None
            return
        await self._one_at_a_time.acquire()
        trial = Trial(self, held.claim)
        try:
            await self._begin(trial)
            yield trial
        finally:
            await self.end(trial, passed=False)

    async def _begin(self, trial: "Trial") -> None:
        async with self.claiming:
            self._trial = trial
            self._over.clear()
            await self._shield(on=True)

    async def end(self, trial: "Trial", *, passed: bool) -> None:
        """The others go on; a suspect that has passed is an ordinary turn."""
        if trial.is_over:
            return
        trial.is_over = True
        # A task of its own, so that a cancellation of the turn leaves no shields behind.
        self._lifting = asyncio.create_task(self._lift(trial, passed), name="end of a trial")
        await asyncio.shield(self._lifting)

    async def _lift(self, trial: "Trial", passed: bool) -> None:
        try:
            async with self.claiming:
                await self._shield(on=False, cleared=trial.claim if passed else None)
        finally:
            self._trial = None
            self._over.set()
            self._one_at_a_time.release()

    async def _shield(self, *, on: bool, cleared: Claim | None = None) -> None:
        trial = self._trial
        claims = [held.claim for held in self._holdings.values()]
        others = [claim for claim in claims if trial is None or claim is not trial.claim]
        await retry("shield", lambda: self._turns.shield(others, on=on, cleared=cleared))


class Trial:
    """A suspect that runs alone."""

    def __init__(self, quarantine: Quarantine, claim: Claim) -> None:
        self.claim = claim
        self.is_over = False
        self._quarantine = quarantine

    async def advance(self, num_new: int) -> None:
        """So many tokens were generated that no earlier start had emitted."""
        if num_new >= MARGIN:
            await self._quarantine.end(self, passed=True)
