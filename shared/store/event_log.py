"""The log of a job: what happened, in order; its last event is the outcome."""

from dataclasses import asdict, dataclass

import orjson
from redis.asyncio import Redis

from shared.store.keys import Keys
from shared.wire.schema import ENDED, TurnRequest, reply_object
from shared.wire.turn import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One entry: its id in the log, its type, its data as JSON text."""

    id: str
    kind: str
    data: str

    @property
    def is_terminal(self) -> bool:
        """Whether nothing comes behind it."""
        return self.kind in ENDED

    @classmethod
    def queued(cls, event_id: str, job_id: str, conversation_id: str, place: Place) -> "Event":
        """A turn waits, as `submit` logs it."""
        data = {"job": job_id, "id": int(conversation_id), **asdict(place)}
        return cls(id=event_id, kind="queued", data=orjson.dumps(data).decode())

    @property
    def position(self) -> int | None:
        """The place in the queue that a `queued` event tells; None for any other."""
        return int(orjson.loads(self.data)["position"]) if self.kind == "queued" else None

    def moved(self, place: Place) -> "Event":
        """A `queued` event with another place in the queue."""
        data = orjson.loads(self.data) | asdict(place)
        return Event(id=self.id, kind=self.kind, data=orjson.dumps(data).decode())

    @classmethod
    def from_ring(cls, payload: str) -> tuple[str, "Event"]:
        """Read what the scripts publish: job, id, type and data with spaces between."""
        job, event_id, kind, data = payload.split(" ", 3)
        return job, cls(id=event_id, kind=kind, data=data)


def order(event_id: str) -> tuple[int, int]:
    """A log id as something to compare."""
    milliseconds, _, number = event_id.partition("-")
    return int(milliseconds), int(number or 0)


class EventLog:
    """Reads the logs of jobs."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def read(self, job_id: str, after: str | None = None) -> list[Event]:
        """The job's events behind `after`, a log id; all of them for None.

        Once the log has expired, the outcome alone.
        """
        events = await self._logged(job_id, after)
        if events and not events[-1].is_terminal:
            return events
        outcome = await self.outcome(job_id)
        if outcome is None or (after is not None and order(outcome.id) <= order(after)):
            return events
        if not events:
            # The log has expired, or else the job has ended since we looked.
            events = await self._logged(job_id, after)
        return [*events[:-1], outcome]

    async def _logged(self, job_id: str, after: str | None) -> list[Event]:
        start = "-" if after is None else f"({after}"
        entries = await self._redis.xrange(self._keys.events(job_id), min=start)
        return [
            Event(id=entry_id, kind=fields["e"], data=fields["d"]) for entry_id, fields in entries
        ]

    async def outcome(self, job_id: str) -> Event | None:
        """The terminal event, rebuilt from the job, where its data are stored once."""
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
