"""The log of a job: what happened, in order; its last event is the outcome."""

from collections.abc import Awaitable, Callable, Sequence

from redis.asyncio import Redis

from shared.store.keys import Keys
from shared.store.replicas import Replicas
from shared.store.scripts import Scripts
from shared.wire.event import Event, order
from shared.wire.job_status import ENDED
from shared.wire.reply import reply_object
from shared.wire.turn_request import TurnRequest


class EventLog:
    """Reads the logs of jobs."""

    def __init__(self, redis: Redis, keys: Keys, replicas: Replicas) -> None:
        self._redis = redis
        self._keys = keys
        self._replicas = replicas
        self.confirms_ends = replicas.are_wanted
        """Whether ends are only read here once they cannot get lost any more."""
        self._call = Scripts(redis, keys, "follow").call

    async def follow(self, job_id: str, after: str) -> list[Event]:
        """As `read`; the job's worker is told that somebody follows the job live."""
        return await self._read(job_id, after, self._followed)

    async def read(self, job_id: str, after: str | None = None) -> list[Event]:
        """The job's events after the log id `after`; all of them for None.

        Once the log has expired, the outcome alone.
        """
        return await self._read(job_id, after, self._logged)

    async def _read(
        self,
        job_id: str,
        after: str | None,
        logged: Callable[[str, str | None], Awaitable[list[Event]]],
    ) -> list[Event]:
        events = await logged(job_id, after)
        if events and not events[-1].is_terminal:
            return events
        outcome = await self.outcome(job_id)
        if outcome is None or (after is not None and order(outcome.id) <= order(after)):
            return events
        if not events:
            # The log has expired, or the job has ended since it was read.
            events = await self._logged(job_id, after)
        return [*events[:-1], outcome]

    async def _logged(self, job_id: str, after: str | None) -> list[Event]:
        start = "-" if after is None else f"({after}"
        entries = await self._redis.xrange(self._keys.events(job_id), min=start)
        return [
            Event(id=entry_id, kind=fields["e"], data=fields["d"]) for entry_id, fields in entries
        ]

    async def _followed(self, job_id: str, after: str | None) -> list[Event]:
        entries = await self._call("follow", job=job_id, after=after or "")
        return [_event(entry_id, flat) for entry_id, flat in entries]

    async def outcome(self, job_id: str) -> Event | None:
        """The terminal event, rebuilt from the job, where its data are stored.

        Raises:
            OutcomeUnknown: too few replicas have it.
        """
        fields = await self._redis.hmget(  # type: ignore[misc]  # redis-py types both clients as one
            self._keys.job(job_id),
            ["status", "last_event", "conversation", "request", "result", "error"],
        )
        status, last_event, conversation, request, result, error = fields
        if status not in ENDED or last_event is None:
            return None
        await self._replicas.confirm(job_id, last_event)
        if status == "completed":
            return Event(
                id=last_event,
                kind=status,
                data=completed_data(job_id, conversation, request, result),
            )
        return Event(id=last_event, kind=status, data=error or "{}")


def _event(entry_id: str, flat: Sequence[str]) -> Event:
    """From an entry as a script returns it: names and values in turn."""
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    return Event(id=entry_id, kind=fields["e"], data=fields["d"])


def completed_data(job_id: str, conversation_id: str, request: str, result: str) -> str:
    """The reply object of a completed job from its stored fields."""
    return reply_object(job_id, conversation_id, TurnRequest.decode(request), result).decode()
