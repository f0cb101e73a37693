"""Pieces of replies on their way to Redis: one call for all of them, a few times a second.

The first piece of a reply goes at once, later ones wait for each other; the last one goes with the
reply's commit.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from redis.exceptions import RedisError

from shared.store.turns import Turns
from shared.wire.turn import Claim, Emission, Outcome, PieceRecord
from worker.engine.interface import Meter, Piece
from worker.persistence import persist

_INTERVAL_S: Final = 0.04
"""Pieces that come within this time go together."""


class Outlet:
    """Where one reply's pieces go in.

    Args:
        wake: called when there is something to send, and whether it is urgent.
        already: how many token ids earlier starts have emitted.
        meter: counts the prompt's tokens that are evaluated.
        prompt_tokens: all of them.
        fenced: called when the turn turns out to be somebody else's.
    """

    def __init__(
        self,
        claim: Claim,
        already: int,
        meter: Meter,
        prompt_tokens: int,
        wake: Callable[[bool], None],
        fenced: Callable[[], None],
    ) -> None:
        self._claim = claim
        self._meter = meter
        self._prompt_tokens = prompt_tokens
        self._at = already
        self._wake = wake
        self._fenced = fenced
        self._waiting: list[Piece] = []
        self._has_begun = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._error: Exception | None = None
        self.is_closed = False

    def add(self, piece: Piece) -> None:
        """Queue a piece."""
        self._waiting.append(piece)
        self._wake(not self._has_begun)
        self._has_begun = True

    async def close(self) -> PieceRecord | None:
        """Stop, after what is on its way has arrived; returns what was not sent.

        Raises:
            RedisError: a piece was refused for good.
        """
        self.is_closed = True
        await self._idle.wait()
        if self._error is not None:
            raise self._error
        return self._take()

    def cancel(self) -> None:
        """Stop at once; nothing more is emitted."""
        self.is_closed = True

    def next_emission(self) -> Emission | None:
        """What is to be sent now; it is on its way until `arrived` or `failed`."""
        record = None if self.is_closed else self._take()
        if record is None:
            return None
        self._idle.clear()
        return Emission(
            self._claim.job,
            self._claim.token,
            self._at,
            record,
            self._meter.evaluated,
            self._prompt_tokens,
        )

    def arrived(self, emission: Emission, outcome: Outcome) -> None:
        """An emission was answered."""
        self._at += len(emission.piece.token_ids)
        self._idle.set()
        if outcome is Outcome.FENCED and not self.is_closed:
            self.is_closed = True
            self._fenced()

    def failed(self, error: Exception) -> None:
        """An emission was refused."""
        self._error, self.is_closed = error, True
        self._idle.set()

    def _take(self) -> PieceRecord | None:
        if not self._waiting:
            return None
        pieces, self._waiting = self._waiting, []
        text = "".join(piece.text for piece in pieces)
        return PieceRecord(text, tuple(i for piece in pieces for i in piece.token_ids))


class Emitter:
    """Sends the pieces of all replies of a worker."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._outlets: set[Outlet] = set()
        self._something = asyncio.Event()
        self._urgent = asyncio.Event()

    def open(
        self,
        claim: Claim,
        already: int,
        meter: Meter,
        prompt_tokens: int,
        fenced: Callable[[], None],
    ) -> Outlet:
        """An outlet for one start of a turn."""
        outlet = Outlet(claim, already, meter, prompt_tokens, self._wake, fenced)
        self._outlets.add(outlet)
        return outlet

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._something.wait()
            self._something.clear()
            self._urgent.clear()
            self._outlets = {outlet for outlet in self._outlets if not outlet.is_closed}
            emissions = {
                outlet: emission
                for outlet in self._outlets
                if (emission := outlet.next_emission()) is not None
            }
            if emissions:
                await self._send(emissions)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._urgent.wait(), _INTERVAL_S)

    def _wake(self, urgent: bool) -> None:
        self._something.set()
        if urgent:
            self._urgent.set()

    async def _send(self, emissions: dict[Outlet, Emission]) -> None:
        try:
            outcomes = await persist("emit", lambda: self._turns.emit_all(list(emissions.values())))
        except RedisError as error:
            for outlet in emissions:
                outlet.failed(error)
            return
        for (outlet, emission), outcome in zip(emissions.items(), outcomes, strict=True):
            outlet.arrived(emission, outcome)
