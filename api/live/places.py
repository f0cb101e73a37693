"""The places in the queue of all watched turns, with one look-up for all of them."""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from redis.exceptions import RedisError

from api.live.watch import Watch
from shared.store.connection import REDIS_UNAVAILABLE, trouble
from shared.store.submissions import Submissions
from shared.wire.place import Place

log = logging.getLogger(__name__)

_BATCH: Final = 100
"""Jobs of one script call: Redis is blocked meanwhile."""


class Places:
    """Notifies the readers of waiting turns that have moved in the queue.

    While there are any, all their turns are looked up together every second.
    """

    def __init__(self, submissions: Submissions, *, every_s: float = 1.0) -> None:
        self._submissions = submissions
        self._every_s = every_s
        self._watches: defaultdict[str, set[Watch]] = defaultdict(set)
        self._has_watches = asyncio.Event()

    @contextlib.contextmanager
    def following(self, watch: Watch) -> Iterator[None]:
        """Notify a watch of its turn's places; does nothing for a turn that does not wait."""
        if watch.position is None:
            yield
            return
        self._watches[watch.job].add(watch)
        self._has_watches.set()
        try:
            yield
        finally:
            self._watches[watch.job].discard(watch)
            if not self._watches[watch.job]:
                self._forget(watch.job)

    def _forget(self, job_id: str) -> None:
        del self._watches[job_id]
        if not self._watches:
            self._has_watches.clear()

    async def run(self) -> None:
        """Look up until cancelled."""
        while True:
            await self._has_watches.wait()
            try:
                await self._look_up()
            except REDIS_UNAVAILABLE as error:
                log.debug("places: Redis is unavailable (%s)", type(error).__name__)
            except RedisError as error:
                trouble.met(error)
            except Exception:
                log.exception("places")
            await asyncio.sleep(self._every_s)

    async def _look_up(self) -> None:
        jobs = list(self._watches)
        for start in range(0, len(jobs), _BATCH):
            batch = jobs[start : start + _BATCH]
            for job, place in zip(batch, await self._submissions.places(batch), strict=True):
                if job in self._watches:
                    self._move(job, place)

    def _move(self, job_id: str, place: Place | None) -> None:
        if place is None:  # it has started or ended, which its events report
            self._forget(job_id)
            return
        for watch in self._watches[job_id]:
            watch.move(place)
