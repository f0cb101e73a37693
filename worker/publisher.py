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
from shared.wire.publication import Publication
from worker.engine.interface import Meter
from worker.outbox import Outbox
from worker.retry import retry

_INTERVAL_S: Final = 0.04
"""Pieces generated within this time are sent together."""


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
