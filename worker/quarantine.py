"""Turns that may have crashed a worker's process are evaluated alone.

A process that dies takes all its turns with it, and any of them may be the cause. Each is a
suspect until it has got past what it had published when the process died. A suspect is evaluated
alone. The worker's other turns wait meanwhile and are shielded: if the process dies again, they are
not charged with a crash (docs/decisions/0014).
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol

from shared.wire.claim import Claim
from worker.retry import retry
from worker.running_turn import RunningTurn, RunningTurns

MARGIN: Final = 64
"""Tokens that a process may have generated after the last published one before it died."""


class Shields(Protocol):
    """Marks turns as not being evaluated (`shared.store.claims.Claims`)."""

    async def shield(
        self, claims: Sequence[Claim], *, on: bool, cleared: Claim | None = None
    ) -> None: ...


class Quarantine:
    """Lets one suspect run at a time.

    `claim_lock` is held from the claim of a turn until it is in `running`.

    Args:
        running: the turns that the worker runs.
    """

    def __init__(self, claims: Shields, running: RunningTurns) -> None:
        self.claim_lock = asyncio.Lock()
        self._claims = claims
        self._running = running
        self._solo_run: SoloRun | None = None
        self._ending: asyncio.Task[None] | None = None
        self._one_suspect = asyncio.Lock()
        self._no_suspect = asyncio.Event()
        self._no_suspect.set()

    @property
    def is_active(self) -> bool:
        """Whether a suspect is running alone: turns claimed now must be shielded."""
        return self._solo_run is not None

    @asynccontextmanager
    async def admit(self, turn: RunningTurn) -> AsyncIterator["SoloRun | None"]:
        """Wait until the turn may be evaluated; a suspect runs alone until it is cleared."""
        if not turn.claim.suspect:
            while self.is_active:
                await self._no_suspect.wait()
            yield None
            return
        await self._one_suspect.acquire()
        solo_run = SoloRun(self, turn.claim)
        try:
            await self._begin(solo_run)
            yield solo_run
        finally:
            await self.end(solo_run, cleared=False)

    async def _begin(self, solo_run: "SoloRun") -> None:
        async with self.claim_lock:
            self._solo_run = solo_run
            self._no_suspect.clear()
            await self._shield(on=True)

    async def end(self, solo_run: "SoloRun", *, cleared: bool) -> None:
        """Let the other turns continue; a `cleared` suspect is one of them from now on."""
        if solo_run.is_over:
            return
        solo_run.is_over = True
        # A task of its own: if the turn is cancelled, no shields may stay behind.
        self._ending = asyncio.create_task(self._release(solo_run, cleared), name="end of solo run")
        await asyncio.shield(self._ending)

    async def _release(self, solo_run: "SoloRun", cleared: bool) -> None:
        try:
            async with self.claim_lock:
                await self._shield(on=False, cleared=solo_run.claim if cleared else None)
        finally:
            self._solo_run = None
            self._no_suspect.set()
            self._one_suspect.release()

    async def _shield(self, *, on: bool, cleared: Claim | None = None) -> None:
        solo_run = self._solo_run
        claims = [turn.claim for turn in self._running.values()]
        others = [claim for claim in claims if solo_run is None or claim is not solo_run.claim]
        await retry("shield", lambda: self._claims.shield(others, on=on, cleared=cleared))


class SoloRun:
    """A suspect that runs alone."""

    def __init__(self, quarantine: Quarantine, claim: Claim) -> None:
        self.claim = claim
        self.is_over = False
        self._quarantine = quarantine

    async def advance(self, num_new: int) -> None:
        """The start has generated `num_new` tokens that no earlier one had published."""
        if num_new >= MARGIN:
            await self._quarantine.end(self, cleared=True)
