"""Publishes the pieces of all replies: one call to Redis for all of them, several times a second.

The first piece of a reply is sent at once, later ones are collected: for a tenth of a second while
somebody follows the reply, otherwise longer, as they only serve a worker that has to go on with it.
The last piece is part of the reply's commit.
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

_FOLLOWED_S: Final = 0.1
_UNFOLLOWED_S: Final = 0.5


class Publisher:
    """Sends the pieces of all of a worker's replies."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims
        self._outboxes: set[Outbox] = set()
        self._has_pieces = asyncio.Event()
        self._urgent = asyncio.Event()
        # When the replies are due that somebody follows, and the others: together, in one call.
        self._due_s = {True: 0.0, False: 0.0}

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

    def follow(self, job_id: str) -> None:
        """Somebody follows a job from now on: what there is of its reply is sent at once."""
        for outbox in self._outboxes:
            if outbox.job_id == job_id:
                outbox.follow()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._until_due()
            publications = {
                outbox: publication
                for outbox in self._outboxes
                if self._is_due(outbox) and (publication := outbox.next_publication()) is not None
            }
            self._set_due()
            if publications:
                await self._send(publications)

    async def _until_due(self) -> None:
        """Until an outbox has pieces, and the first of those that have is due."""
        while True:
            self._outboxes = {outbox for outbox in self._outboxes if not outbox.is_done}
            waiting = [outbox for outbox in self._outboxes if outbox.has_pieces]
            if any(self._is_due(outbox) for outbox in waiting):
                return
            if not waiting:
                self._has_pieces.clear()
                await self._has_pieces.wait()
                continue
            left_s = min(self._due_s[outbox.is_followed] for outbox in waiting) - _now()
            self._urgent.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._urgent.wait(), max(0.0, left_s))

    def _is_due(self, outbox: Outbox) -> bool:
        return outbox.is_urgent or self._due_s[outbox.is_followed] <= _now()

    def _set_due(self) -> None:
        """Those that were due have been taken along; the next of their kind wait for a while."""
        now = _now()
        for is_followed, pause_s in ((True, _FOLLOWED_S), (False, _UNFOLLOWED_S)):
            if self._due_s[is_followed] <= now:
                self._due_s[is_followed] = now + pause_s

    def _wake(self, outbox: Outbox, urgent: bool) -> None:
        self._outboxes.add(outbox)
        self._has_pieces.set()
        if urgent:
            self._urgent.set()

    async def _send(self, publications: dict[Outbox, Publication]) -> None:
        try:
            receipts = await retry(
                "publish", lambda: self._claims.publish_all(list(publications.values()))
            )
        except RedisError as error:
            for outbox in publications:
                outbox.failed(error)
            return
        for (outbox, publication), receipt in zip(publications.items(), receipts, strict=True):
            outbox.arrived(publication, receipt)


def _now() -> float:
    return asyncio.get_running_loop().time()
