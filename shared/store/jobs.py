"""Jobs as clients see them."""

from dataclasses import dataclass
from typing import Any

import orjson
from redis.asyncio import Redis

from shared.store.event_log import completed_data
from shared.store.keys import Keys
from shared.store.replicas import Replicas
from shared.store.submissions import Submissions
from shared.wire.job_status import ENDED
from shared.wire.place import Place
from shared.wire.timestamps import rfc3339
from shared.wire.turn_request import TurnRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """A job as its hash has it; times are in milliseconds since the epoch."""

    job_id: str
    owner_id: str
    conversation_id: str
    status: str
    attempts: int
    created_ms: int
    started_ms: int | None
    finished_ms: int | None
    request: str
    result: str | None
    error: str | None
    place: Place | None = None
    model_name: str = ""
    """Of the model that replies; empty for a job of an older version without a reply."""
    number: int | None = None
    """Number of its prompt in the conversation, once it has completed."""
    prompt_tokens: int = 0
    """0 until a piece of its reply was published."""
    evaluated_tokens: int = 0
    """Tokens of its prompt that were in no cache."""
    reply_tokens: int = 0
    """Tokens published so far."""
    continues: bool = False
    """Whether it goes on with a reply that was cut or stopped."""

    @property
    def has_ended(self) -> bool:
        """Whether it has reached its final status."""
        return self.status in ENDED

    def to_wire(self) -> dict[str, Any]:
        """The job object of `GET /jobs/{job}`."""
        wire: dict[str, Any] = {
            "job": self.job_id,
            "status": self.status,
            "id": int(self.conversation_id),
            "attempts": self.attempts,
            "created_at": rfc3339(self.created_ms),
        }
        if self.continues:
            wire["continues"] = True
        if not self.has_ended:
            wire |= self._asked()
        if self.started_ms is not None:
            wire["started_at"] = rfc3339(self.started_ms)
        if self.finished_ms is not None:
            wire["finished_at"] = rfc3339(self.finished_ms)
        if self.place is not None:
            wire["queue"] = self.place
        if self.status == "completed" and self.result is not None:
            data = completed_data(self.job_id, self.conversation_id, self.request, self.result)
            wire["result"] = orjson.Fragment(data)
        if self.status == "failed" and self.error is not None:
            wire |= orjson.loads(self.error)
        wire["links"] = {"self": f"/jobs/{self.job_id}", "events": f"/jobs/{self.job_id}/events"}
        return wire

    def _asked(self) -> dict[str, Any]:
        """What is asked, for whoever watches on another device."""
        try:
            request = TurnRequest.decode(self.request)
        except (ValueError, TypeError, KeyError):
            return {}  # A newer version's.
        prompt = "" if request.call_id else request.prompt
        asked = {"prompt": prompt, "replace_from": request.replace_from}
        return {name: value for name, value in asked.items() if value}


class Jobs:
    """Reads jobs by id."""

    def __init__(
        self, redis: Redis, keys: Keys, submissions: Submissions, replicas: Replicas
    ) -> None:
        self._replicas = replicas
        self._redis = redis
        self._keys = keys
        self._submissions = submissions

    async def get(self, job_id: str, owner_id: str) -> JobState | None:
        """The job, or None if it is unknown, has expired, or is not this owner's.

        Raises:
            OutcomeUnknown: it has ended, and too few replicas have that.
        """
        fields = await self._redis.hgetall(  # type: ignore[misc]  # redis-py types both clients as one
            self._keys.job(job_id)
        )
        if not fields or fields["owner"] != owner_id:
            return None
        if fields["status"] in ENDED:
            await self._replicas.confirm(job_id, fields.get("last_event"))
        place = None
        if fields["status"] == "queued":
            # If it has started between the two reads, it was next.
            place = (await self._submissions.places([job_id]))[0] or Place(
                position=1, eta_seconds=0.0
            )
        started, finished = fields.get("started"), fields.get("finished")
        return JobState(
            job_id=job_id,
            owner_id=fields["owner"],
            conversation_id=fields["conversation"],
            status=fields["status"],
            attempts=int(fields["crashes"]) + 1 if started else 0,
            created_ms=int(fields["created"]),
            started_ms=int(started) if started else None,
            finished_ms=int(finished) if finished else None,
            request=fields["request"],
            result=fields.get("result"),
            error=fields.get("error"),
            place=place,
            model_name=fields.get("pool") or _model_in(fields.get("result")),
            number=int(fields["number"]) if "number" in fields else None,
            prompt_tokens=int(fields.get("prompt", 0)),
            evaluated_tokens=int(fields.get("evaluated", 0)),
            reply_tokens=int(fields.get("progress", 0)),
            continues="continues" in fields,
        )


def _model_in(result: str | None) -> str:
    """The model that a result names, for jobs of versions without pools."""
    model_name: str = orjson.loads(result).get("model", "") if result else ""
    return model_name
