"""Publishes the pieces of all replies: one call to Redis for all of them, many times a second.

The first piece of a reply is sent at once, later ones are collected; the last one is part of the
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
"""Pieces generated within this time are sent together."""


class Outbox:
    """The pieces of one reply that wait to be published.

    Args:
        num_logged: token ids that earlier starts have published.
        meter: counts the prompt's tokens that were evaluated.
        prompt_tokens: tokens of the whole prompt.
        wake: called when there is something to send, with whether it is urgent.
        on_fenced: called when the turn no longer belongs to this worker.
    """

    def __init__(
        self,
        claim: Claim,
        num_logged: int,
        meter: Meter,
        prompt_tokens: int,
        wake: Callable[[bool], None],
        on_fenced: Callable[[], None],
    ) -> None:
        self._claim = claim
        self._meter = meter
        self._prompt_tokens = prompt_tokens
        self._position = num_logged
        self._wake = wake
        self._on_fenced = on_fenced
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
        """Stop once everything under way has arrived; returns what was not sent.

        Raises:
            RedisError: a piece was refused for good.
        """
        self.is_closed = True
        await self._idle.wait()
        if self._error is not None:
            raise self._error
        return self._take()

    def cancel(self) -> None:
        """Stop at once; nothing more is published."""
        self.is_closed = True

    def next_publication(self) -> Publication | None:
        """What to send now; it is under way until `arrived` or `failed` is called."""
        record = None if self.is_closed else self._take()
        if record is None:
            return None
        self._idle.clear()
        return Publication(
            job_id=self._claim.job_id,
            fence=self._claim.fence,
            at=self._position,
            piece=record,
            evaluated=self._meter.evaluated,
            prompt_tokens=self._prompt_tokens,
        )

    def arrived(self, publication: Publication, outcome: WriteOutcome) -> None:
        """Redis has answered a publication."""
        self._position += len(publication.piece.token_ids)
        self._idle.set()
        if outcome is WriteOutcome.FENCED and not self.is_closed:
            self.is_closed = True
            self._on_fenced()

    def failed(self, error: Exception) -> None:
        """Redis has refused a publication for good."""
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
    """Sends the pieces of all of a worker's replies."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims
        self._outboxes: set[Outbox] = set()
        self._has_pieces = asyncio.Event()
        self._urgent = asyncio.Event()

    def open(
        self,
        claim: Claim,
        num_logged: int,
        meter: Meter,
        prompt_tokens: int,
        on_fenced: Callable[[], None],
    ) -> Outbox:
        """Open the outbox of one start of a turn."""
        outbox = Outbox(claim, num_logged, meter, prompt_tokens, self._wake, on_fenced)
        self._outboxes.add(outbox)
        return outbox

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._has_pieces.wait()
            self._has_pieces.clear()
            self._urgent.clear()
            self._outboxes = {outbox for outbox in self._outboxes if not outbox.is_closed}
            publications = {
                outbox: publication
                for outbox in self._outboxes
                if (publication := outbox.next_publication()) is not None
            }
            if publications:
                await self._send(publications)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._urgent.wait(), _INTERVAL_S)

    def _wake(self, urgent: bool) -> None:
        self._has_pieces.set()
        if urgent:
            self._urgent.set()

    async def _send(self, publications: dict[Outbox, Publication]) -> None:
        try:
            outcomes = await retry(
                "publish", lambda: self._claims.publish_all(list(publications.values()))
            )
        except RedisError as error:
            for outbox in publications:
                outbox.failed(error)
            return
        for (outbox, publication), outcome in zip(publications.items(), outcomes, strict=True):
            outbox.arrived(publication, outcome)
