"""A turn from the API's side: accept it, say where it waits, end it.

Each step is one atomic script of `shared/store/lua`. The workers' side is in `claims.py`.
"""

import contextlib
import hashlib
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from shared.config import Settings
from shared.store.connection import REDIS_UNAVAILABLE
from shared.store.data_format import FORMAT_OF_PARTS
from shared.store.expiry import expiries, idempotency_lifetime_s
from shared.store.keys import Keys
from shared.store.refusals import allowance_of, refusal
from shared.store.scripts import Scripts, milliseconds
from shared.store.workers import WORKER_SILENCE_S
from shared.wire.place import Place
from shared.wire.prefix_digest import digest_before
from shared.wire.submission import Accepted, Submission
from shared.wire.write_outcome import WriteOutcome


class Submissions:
    """Submits turns and follows them until a worker has them.

    Args:
        redis: decodes responses to `str`.
        settings: times and limits.
    """

    def __init__(self, redis: Redis, keys: Keys, settings: Settings) -> None:
        self._redis = redis
        self._keys = keys
        self._settings = settings
        self._call = Scripts(redis, keys, "submit", "places", "cancel", "stop").call
        self._expiries = expiries(settings)

    async def submit(self, submission: Submission) -> Accepted | None:
        """Accept a prompt; repeating the call with the same ids is safe.

        Returns:
            What was accepted: this prompt, or the first one with its idempotency key. None if the
            id of the new conversation is taken: choose another.

        Raises:
            Refused: nothing was stored.
        """
        answer = await self._call(
            "submit",
            job=submission.job_id,
            conversation=submission.conversation_id,
            owner=submission.owner_id,
            new=int(submission.new),
            context=submission.instructions if submission.new else None,
            request=submission.request.encode(),
            replace_from=submission.request.replace_from,
            continues=1 if submission.request.continues else None,
            brought=len(submission.request.earlier) or None,
            api=submission.api_id,
            stateless=1 if submission.stateless else None,
            prefix=_prefix(submission),
            response=1 if submission.response else None,
            format=_format(submission),
            after=submission.after,
            behind=submission.behind,
            request_id=submission.request_id,
            traceparent=submission.traceparent,
            model=submission.model_name or None,
            default_model=self._settings.default_model or None,
            needs="embeddings" if submission.request.to_embed else "chat",
            window=self._settings.window,
            **_idempotency_arguments(submission, self._settings),
            pending_limit=self._settings.pending_turns,
            queue_limit=self._settings.queue_limit,
            timeout_ms=milliseconds(self._settings.job_timeout),
            jobs_ttl_ms=self._expiries["jobs_ttl_ms"],
            silence_ms=milliseconds(WORKER_SILENCE_S),
            **submission.limits.arguments(),
        )
        return _accepted(submission, answer)

    async def cancel(self, job_id: str, owner_id: str) -> WriteOutcome:
        """End a turn whose reply is not wanted; `GONE` if it is not this owner's."""
        return WriteOutcome(
            await self._call("cancel", job=job_id, owner=owner_id, **self._expiries)
        )

    async def stop(self, job_id: str, owner_id: str) -> WriteOutcome:
        """End a turn with what is written of its reply; `GONE` if it is not this owner's.

        A turn that nothing is written of and that no worker has is cancelled.
        """
        return WriteOutcome(await self._call("stop", job=job_id, owner=owner_id, **self._expiries))

    async def cancel_all(self, owner_id: str) -> int:
        """End all turns of an owner; returns how many there were."""
        jobs = await self._redis.smembers(  # type: ignore[misc]  # redis-py types both clients as one
            self._keys.open(owner_id)
        )
        for job in jobs:
            await self.cancel(job, owner_id)
        return len(jobs)

    async def places(self, jobs: Sequence[str]) -> list[Place | None]:
        """Places in the queue, for a few hundred turns at most; None for one that does not wait."""
        answer = await self._call("places", jobs=" ".join(jobs))
        return [Place.of(*place) if place is not None else None for place in answer]

    async def release(self, job_id: str, owner_id: str) -> None:
        """End a stateless turn that nobody reads any more, and delete its text.

        While Redis is unavailable, that is left to the turn's deadline and expiry.
        """
        with contextlib.suppress(*REDIS_UNAVAILABLE):
            if await self.cancel(job_id, owner_id) is WriteOutcome.DUP:
                await self._redis.delete(self._keys.job(job_id), self._keys.events(job_id))


def _accepted(submission: Submission, answer: Sequence[str]) -> Accepted | None:
    """What was accepted; None if the id of the new conversation is taken.

    Raises:
        Refused: nothing was stored.
    """
    match answer[0]:
        case "OK":
            return Accepted(
                job_id=submission.job_id,
                conversation_id=answer[1],
                allowance=allowance_of(answer[:-1], submission.limits),
                created_ms=int(answer[2]),
                model_name=answer[-1],
            )
        case "SAME":
            return Accepted(job_id=answer[1], conversation_id=answer[2], model_name=answer[3])
        case "TAKEN":
            return None
    raise refusal(answer)


def _format(submission: Submission) -> str | None:
    """The data's format from now on, if it has to change; a stateless turn's data are gone soon."""
    lasts = submission.request.needs_parts and not submission.stateless
    return FORMAT_OF_PARTS if lasts else None


def _prefix(submission: Submission) -> str | None:
    """What a stateless turn begins with, if it is all that the worker needs to know."""
    if not (submission.stateless and submission.new):
        return None
    return digest_before(submission.owner_id, submission.request) or None


def _idempotency_arguments(submission: Submission, settings: Settings) -> dict[str, Any]:
    """The script's arguments for a submission's idempotency key; none without a key."""
    key = submission.idempotency_key
    if key is None:
        return {}
    # Hashed: a client's key may contain anything, and a body may be long.
    digest = hashlib.sha256(f"{submission.owner_id}\0{key}".encode()).hexdigest()[:32]
    body = [submission.request.encode(), None if submission.new else submission.conversation_id]
    if submission.model_name:  # bodies without one hash as they did in older versions
        body.append(submission.model_name)
    return {
        "idempotency": digest,
        "body": hashlib.sha256(repr(body).encode()).hexdigest()[:32],
        "idempotency_ms": milliseconds(idempotency_lifetime_s(settings)),
    }
