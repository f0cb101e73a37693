"""Pieces of one reply on their way to Redis: the first at once, later ones coalesced."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from shared.turn_values import Claim, Outcome, PieceRecord
from shared.turns import Turns
from worker.engine.interface import Piece
from worker.persistence import persist

_INTERVAL_S: Final = 0.03
"""Pieces that come within this time become one."""


class Emitter:
    """Emits for one claim.

    Args:
        already: how many token ids earlier starts have emitted.
        fenced: called when the turn turns out to be somebody else's.
    """

    def __init__(
        self, turns: Turns, claim: Claim, already: int, fenced: Callable[[], None]
    ) -> None:
        self._turns = turns
        self._claim = claim
        self._at = already
        self._fenced = fenced
        self._waiting: list[Piece] = []
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def add(self, piece: Piece) -> None:
        """Queue a piece."""
        self._waiting.append(piece)
        self._wake.set()

    async def close(self) -> PieceRecord | None:
        """Stop, after what is on its way has arrived; returns what was not sent."""
        self._closing.set()
        self._wake.set()
        await self._task
        return self._take()

    def cancel(self) -> None:
        """Stop at once; nothing more is emitted."""
        self._task.cancel()

    def _take(self) -> PieceRecord | None:
        if not self._waiting:
            return None
        pieces, self._waiting = self._waiting, []
        text = "".join(piece.text for piece in pieces)
        return PieceRecord(text, tuple(i for piece in pieces for i in piece.token_ids))

    async def _run(self) -> None:
        while not self._closing.is_set():
            await self._wake.wait()
            self._wake.clear()
            record = None if self._closing.is_set() else self._take()
            if record is None:
                continue
            outcome = await persist("emit", lambda r=record: self._emit(r))  # type: ignore[misc]
            if outcome is Outcome.FENCED:
                self._fenced()
                return
            self._at += len(record.token_ids)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _INTERVAL_S)

    async def _emit(self, record: PieceRecord) -> Outcome:
        return await self._turns.emit(self._claim, self._at, record)
