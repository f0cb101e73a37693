"""The log of a job: what happened, in order; its last event is the outcome."""

from redis.asyncio import Redis

from shared.wire.event import Event, order
from shared.wire.job_status import ENDED
from tests.faults.old_wire.keys import Keys
from tests.faults.old_wire.reply import reply_object
from tests.faults.old_wire.turn_request import TurnRequest


class EventLog:
    """Reads the logs of jobs."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def read(self, job_id: str, after: str | None = None) -> list[Event]:
        """The job's events after the log id `after`; all of them for None.

        Once the log has expired, the outcome alone.
        """
        events = await self._logged(job_id, after)
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

    async def outcome(self, job_id: str) -> Event | None:
        """The terminal event, rebuilt from the job, where its data are stored."""
        fields = await self._redis.hmget(  # type: ignore[misc]  # redis-py types both clients as one
            self._keys.job(job_id),
            ["status", "last_event", "conversation", "request", "result", "error"],
        )
        status, last_event, conversation, request, result, error = fields
        if status not in ENDED or last_event is None:
            return None
        if status == "completed":
            return Event(
                id=last_event,
                kind=status,
                data=completed_data(job_id, conversation, request, result),
            )
        return Event(id=last_event, kind=status, data=error or "{}")


def completed_data(job_id: str, conversation_id: str, request: str, result: str) -> str:
    """The reply object of a completed job from its stored fields."""
    return reply_object(job_id, conversation_id, TurnRequest.decode(request), result).decode()
