"""When a key is revoked its turns are cancelled, and its streams end."""

import asyncio
import logging
import time
from typing import Final

from redis.exceptions import RedisError

from api.http.keys import KeyRing
from api.live.feed import EventFeed
from shared.store.connection import REDIS_UNAVAILABLE, trouble
from shared.store.submissions import Submissions

log = logging.getLogger(__name__)

_EVERY_S: Final = 1.0
_LINGERS_S: Final = 60.0
"""An earlier request may still submit its prompt within this time: twice that of a body."""


class Revocations:
    """Checks every second whether keys were revoked, and cancels their owners' turns.

    A stream or a waiting POST ends with its turn, on whichever API process it is. Each process
    checks for itself, because cancelling twice is harmless.
    """

    def __init__(
        self,
        keys: KeyRing,
        submissions: Submissions,
        feed: EventFeed,
        *,
        every_s: float = _EVERY_S,
    ) -> None:
        self._keys = keys
        self._feed = feed
        self._submissions = submissions
        self._every_s = every_s
        self._until: dict[str, float | None] = {}
        """Until when an owner's new turns are cancelled; None once that is over."""

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            try:
                self._keys.refresh()
                await self._cancel(self._keys.revoked)
                trouble.over("revocations")
            except (*REDIS_UNAVAILABLE, RedisError) as error:
                trouble.met(error, "revocations")
            except Exception:
                log.exception("revocations")
            await asyncio.sleep(self._every_s)

    async def _cancel(self, revoked: frozenset[str]) -> None:
        now = time.monotonic()
        self._until = {owner: self._until.get(owner, now + _LINGERS_S) for owner in revoked}
        for owner, until in self._until.items():
            if until is None:
                continue
            self._feed.lock_out(owner)
            if count := await self._submissions.cancel_all(owner):
                log.info("a key was revoked: %d turns were cancelled", count)
            if now > until:
                self._until[owner] = None
