"""Notices that a turn no longer belongs to this worker: it was cancelled or taken over."""

import asyncio
import logging
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.store.claims import Claims
from shared.store.connection import trouble
from shared.store.keys import Keys
from worker.running_turn import CancelReason, RunningTurns

log = logging.getLogger(__name__)

_POLL_S: Final = 0.5
_PAUSE_S: Final = 0.2


class FenceWatch:
    """Cancels turns whose fence has changed.

    At once on a published notice, and within half a second if the notice is lost.
    """

    def __init__(
        self, redis: Redis, keys: Keys, claims: Claims, running: RunningTurns, worker_id: str
    ) -> None:
        self._redis = redis
        self._channel = keys.losses(worker_id)
        self._claims = claims
        self._running = running

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.subscribe(self._channel)
                    while True:
                        # The notice names a job, but notices can be lost: check all turns anyway.
                        await pubsub.get_message(timeout=_POLL_S)
                        await self._cancel_fenced()
                        trouble.over("fence watch")
            except (RedisError, OSError) as error:
                trouble.met(error, "fence watch")
                await asyncio.sleep(_PAUSE_S)

    async def _cancel_fenced(self) -> None:
        turns = {turn.claim.fence: turn for turn in self._running.values()}
        if not turns:
            return
        for claim in await self._claims.lost([turn.claim for turn in turns.values()]):
            log.info("job %s no longer belongs to this worker", claim.job_id)
            turns[claim.fence].cancel(CancelReason.FENCED)
