"""What happens to a job, as its log and its subscribers get it."""

from dataclasses import asdict, dataclass

import orjson

from shared.wire.job_status import ENDED
from shared.wire.place import Place


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
