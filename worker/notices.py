"""What a worker hears: which of its turns are followed, stopped or lost, a new hold, draining.

A turn that was cancelled, or that another worker has taken over, ends here at once; a stopped one
with what is written. Notices can be lost: followers are told at the next publication anyway, turns
are looked up every few seconds, and every report is answered with whether the worker is to drain.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.store.claims import Claims
from shared.store.connection import trouble
from worker.running_turn import CancelReason, RunningTurn

log = logging.getLogger(__name__)

_CHECK_S: Final = 5.0
"""Between two look-ups of all turns, if no notice comes."""
_PAUSE_S: Final = 0.2


class Notices:
    """Reads a worker's notices.

    Args:
        channel: where they are published.
        on_followed: called with the id of a job that somebody follows live from now on.
        on_held: called when a turn is held that is to be looked after soon, while this worker keeps
            the queue.
        on_drain: called when somebody wants this worker to drain.
    """

    def __init__(
        self,
        redis: Redis,
        channel: str,
        claims: Claims,
        running: Mapping[str, RunningTurn],
        *,
        on_followed: Callable[[str], None],
        on_held: Callable[[], None],
        on_drain: Callable[[], None],
    ) -> None:
        self._redis = redis
        self._channel = channel
        self._claims = claims
        self._running = running
        self._on_followed = on_followed
        self._on_held = on_held
        self._on_drain = on_drain
        self._next_check = 0.0

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self._listen()
            except (RedisError, OSError) as error:
                trouble.met(error, "notices")
                await asyncio.sleep(_PAUSE_S)

    async def _listen(self) -> None:
        async with self._redis.pubsub() as pubsub:
            await pubsub.subscribe(self._channel)
            self._next_check = 0.0  # some may have been missed
            while True:
                left_s = self._next_check - time.monotonic()
                message = await pubsub.get_message(timeout=max(0.0, left_s))
                what, job_id = _read(message)
                self._pass_on(what, job_id)
                if what in ("lost", "stop") or time.monotonic() >= self._next_check:
                    await self._end_unwanted()
                    self._next_check = time.monotonic() + _CHECK_S
                trouble.over("notices")

    def _pass_on(self, what: str, job_id: str) -> None:
        match what:
            case "followed":
                self._on_followed(job_id)
            case "held":
                self._on_held()
            case "drain":
                self._on_drain()

    async def _end_unwanted(self) -> None:
        turns = {turn.claim.fence: turn for turn in self._running.values()}
        if not turns:
            return
        wishes = await self._claims.wishes([turn.claim for turn in turns.values()])
        for claim in wishes.lost:
            log.info("job %s no longer belongs to this worker", claim.job_id)
            turns[claim.fence].cancel(CancelReason.FENCED)
        for claim in wishes.stopped:
            turns[claim.fence].enough.set()


def _read(message: dict[str, str] | None) -> tuple[str, str]:
    """What a notice says, and of which job."""
    if message is None or message["type"] != "message":
        return "", ""
    what, _, job_id = message["data"].partition(" ")
    return what, job_id
