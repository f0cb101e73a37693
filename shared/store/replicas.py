"""Whether replicas have what clients are told: that a prompt was accepted, and how its turn ended.

A primary that dies takes with it what no replica has yet. So with `PALAVER_REPLICAS` nothing is
said before so many replicas have it. They are asked for several jobs at once.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import OutcomeUnknown
from shared.store.connection import REDIS_UNAVAILABLE, trouble, will_pass
from shared.store.keys import Keys

_WAIT_MS: Final = 500
"""How long replicas get: they are some milliseconds behind, or cannot be reached."""
_MARK_MS: Final = 3_600_000


@dataclass(slots=True)
class _Round:
    """What is asked for at once: for each job the log id of its last event, if it has ended."""

    jobs: set[str] = field(default_factory=set)
    task: asyncio.Task[dict[str, tuple[str | None, str | None]]] | None = None


class Replicas:
    """Asks the primary which of its data replicas have.

    Args:
        redis: nobody else's, as the calls block; of any kind if `number` is 0.
        number: replicas that must have it; 0 asks none.
    """

    def __init__(self, redis: Redis, keys: Keys, number: int) -> None:
        self._redis: Any = redis
        self._keys = keys
        self._number = number
        self.are_wanted = number > 0
        """Whether there have to be any."""
        self._one_at_a_time = asyncio.Lock()
        self._next: _Round | None = None
        self._rounds: set[asyncio.Task[Any]] = set()

    async def confirm(self, job_id: str, last_event: str | None = None) -> None:
        """Return when enough replicas have a job.

        Args:
            last_event: the log id of its terminal event, if they have to have that, too.

        Raises:
            OutcomeUnknown: they do not, or the primary that answers has another state: it was
                promoted meanwhile.
        """
        if not self.are_wanted:
            return
        status, known_event = (await self._asked(job_id)).get(job_id, (None, None))
        if status is None or last_event not in (None, known_event):
            raise OutcomeUnknown(job_id, "replicas of Redis do not have it yet")

    async def close(self) -> None:
        """Close the connection."""
        for task in self._rounds:
            task.cancel()
        await asyncio.gather(*self._rounds, return_exceptions=True)
        await self._redis.aclose(close_connection_pool=True)

    async def _asked(self, job_id: str) -> dict[str, tuple[str | None, str | None]]:
        """The next round's answer; one that has begun may be too early for the last write."""
        if self._next is None:
            self._next = _Round()
            self._next.task = asyncio.create_task(self._run(self._next), name="replicas")
            self._rounds.add(self._next.task)
            self._next.task.add_done_callback(self._rounds.discard)
        self._next.jobs.add(job_id)
        assert self._next.task is not None
        return await asyncio.shield(self._next.task)

    async def _run(self, this: _Round) -> dict[str, tuple[str | None, str | None]]:
        async with self._one_at_a_time:
            self._next = None
            try:
                states = await self._states(sorted(this.jobs))
                trouble.over("replicas")
            except (RedisError, OSError) as error:
                if not isinstance(error, REDIS_UNAVAILABLE) and not will_pass(error):
                    raise
                trouble.met(error, "replicas")
                return {}
        return states

    async def _states(self, jobs: list[str]) -> dict[str, tuple[str | None, str | None]]:
        """What replicas have, too: of each job its status and last event."""
        async with self._redis.pipeline(transaction=False) as pipe:
            # WAIT is about the writes of its own connection, and everything before them. This one
            # is not denied while memory is short.
            pipe.pexpire(self._keys.mark, _MARK_MS)
            for job_id in jobs:
                pipe.hmget(self._keys.job(job_id), ["status", "last_event"])
            pipe.wait(self._number, _WAIT_MS)
            is_marked, *states, replicas = await pipe.execute()
        if not is_marked:
            await self._redis.set(self._keys.mark, "", px=_MARK_MS)
            return await self._states(jobs)
        if replicas < self._number:
            return {}
        return {job_id: tuple(state) for job_id, state in zip(jobs, states, strict=True)}
