"""Noticing that a turn is no longer ours: cancelled, or somebody else's."""

import asyncio
import logging
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.store.claims import Claims
from shared.store.connection import trouble
from shared.store.keys import Keys
from worker.held import GivenUp, Held, Holdings

log = logging.getLogger(__name__)

_POLL_S: Final = 0.5
_PAUSE_S: Final = 0.2


class Losses:
    """Gives up what was lost: at once when told by pub/sub, within half a second in any case."""

    def __init__(
        self, redis: Redis, keys: Keys, turns: Claims, holdings: Holdings, worker_id: str
    ) -> None:
        self._redis = redis
        self._channel = keys.losses(worker_id)
        self._turns = turns
        self._holdings = holdings

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.subscribe(self._channel)
                    while True:
                        # A job's name, or silence: in both cases all are looked at.
                        await pubsub.get_message(timeout=_POLL_S)
                        await self._give_up_lost()
                        trouble.over("losses")
            except (RedisError, OSError) as error:
                trouble.met(error, "losses")
                await asyncio.sleep(_PAUSE_S)

    async def _give_up_lost(self) -> None:
        held: dict[str, Held] = {one.claim.fence: one for one in self._holdings.values()}
        if not held:
            return
        for claim in await self._turns.lost([one.claim for one in held.values()]):
            log.info("job %s is no longer ours", claim.job_id)
            held[claim.fence].give_up(GivenUp.FENCED)
