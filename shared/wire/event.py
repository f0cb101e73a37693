"""Events of a job, as they are logged and published."""

from dataclasses import asdict, dataclass

import orjson

from shared.wire.job_status import ENDED
from shared.wire.place import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event: its id in the log, its type, its data as JSON text."""

    id: str
    kind: str
    data: str

    @property
    def is_terminal(self) -> bool:
        """Whether it is the job's last event."""
        return self.kind in ENDED

    @classmethod
    def queued(cls, event_id: str, job_id: str, conversation_id: str, place: Place) -> "Event":
        """The event that `submit` logs: a turn waits."""
        data = {"job": job_id, "id": int(conversation_id), **asdict(place)}
        return cls(id=event_id, kind="queued", data=orjson.dumps(data).decode())

    @property
    def position(self) -> int | None:
        """The position in a `queued` event; None for any other event."""
        return int(orjson.loads(self.data)["position"]) if self.kind == "queued" else None

    def moved(self, place: Place) -> "Event":
        """This `queued` event with another place."""
        data = orjson.loads(self.data) | asdict(place)
        return Event(id=self.id, kind=self.kind, data=orjson.dumps(data).decode())

    @classmethod
    def from_message(cls, payload: str) -> tuple[str, "Event"]:
        """Read a published message: job, id, type and data, separated by spaces."""
        job, event_id, kind, data = payload.split(" ", 3)
        return job, cls(id=event_id, kind=kind, data=data)


def order(event_id: str) -> tuple[int, int]:
    """A log id as a value that can be compared."""
    milliseconds, _, number = event_id.partition("-")
    return int(milliseconds), int(number or 0)
