"""Pieces of replies on their way to Redis: one call for all of them, a few times a second.

The first piece of a reply goes at once, later ones wait for each other; the last one goes with the
reply's commit.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from redis.exceptions import RedisError

from shared.store.claims import Claims
from shared.wire.claim import Claim
from shared.wire.publication import PieceRecord, Publication
from shared.wire.write_outcome import WriteOutcome
from worker.engine.interface import Meter, Piece
from worker.retry import retry

_INTERVAL_S: Final = 0.04
"""Pieces that come within this time go together."""


class Outbox:
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

    def next_publication(self) -> Publication | None:
        """What is to be sent now; it is on its way until `arrived` or `failed`."""
        record = None if self.is_closed else self._take()
        if record is None:
            return None
        self._idle.clear()
        return Publication(
            job_id=self._claim.job_id,
            fence=self._claim.fence,
            at=self._at,
            piece=record,
            evaluated=self._meter.evaluated,
            prompt_tokens=self._prompt_tokens,
        )

    def arrived(self, publication: Publication, outcome: WriteOutcome) -> None:
        """An publication was answered."""
        self._at += len(publication.piece.token_ids)
        self._idle.set()
        if outcome is WriteOutcome.FENCED and not self.is_closed:
            self.is_closed = True
            self._fenced()

    def failed(self, error: Exception) -> None:
        """An publication was refused."""
        self._error, self.is_closed = error, True
        self._idle.set()

    def _take(self) -> PieceRecord | None:
        if not self._waiting:
            return None
        pieces, self._waiting = self._waiting, []
        text = "".join(piece.text for piece in pieces)
        return PieceRecord(
            text=text, token_ids=tuple(i for piece in pieces for i in piece.token_ids)
        )


class Publisher:
    """Sends the pieces of all replies of a worker."""

    def __init__(self, turns: Claims) -> None:
        self._turns = turns
        self._outlets: set[Outbox] = set()
        self._something = asyncio.Event()
        self._urgent = asyncio.Event()

    def open(
        self,
        claim: Claim,
        already: int,
        meter: Meter,
        prompt_tokens: int,
        fenced: Callable[[], None],
    ) -> Outbox:
        """An outbox for one start of a turn."""
        outbox = Outbox(claim, already, meter, prompt_tokens, self._wake, fenced)
        self._outlets.add(outbox)
        return outbox

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._something.wait()
            self._something.clear()
            self._urgent.clear()
            self._outlets = {outbox for outbox in self._outlets if not outbox.is_closed}
            publications = {
                outbox: publication
                for outbox in self._outlets
                if (publication := outbox.next_publication()) is not None
            }
            if publications:
                await self._send(publications)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._urgent.wait(), _INTERVAL_S)

    def _wake(self, urgent: bool) -> None:
        self._something.set()
        if urgent:
            self._urgent.set()

    async def _send(self, publications: dict[Outbox, Publication]) -> None:
        try:
            outcomes = await retry(
                "emit", lambda: self._turns.publish_all(list(publications.values()))
            )
        except RedisError as error:
            for outbox in publications:
                outbox.failed(error)
            return
        for (outbox, publication), outcome in zip(publications.items(), outcomes, strict=True):
            outbox.arrived(publication, outcome)
