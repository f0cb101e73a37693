"""The life of a turn in Redis: the Python side of `shared/store/lua/*.lua`.

A turn is accepted (`submit`), becomes ready when it is its conversation's first, is claimed by a
worker, reports its pieces and ends exactly once. Each step is one atomic script; what a worker
writes is compared with the token it was given (the fence), so that one who was given up for dead
changes nothing any more.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from shared.config import Settings
from shared.errors import (
    DeadlineExceeded,
    TurnFailed,
    WorkerLost,
)
from shared.store.connection import REDIS_UNAVAILABLE
from shared.store.keys import WORKER_GROUP, Keys
from shared.store.refusals import (
    allowance_of,
    idempotency_arguments,
    idempotency_lifetime_s,
    refusal,
)
from shared.store.scripts import Scripts, milliseconds
from shared.store.server_clock import ServerClock
from shared.store.workers import WORKER_SILENCE_S
from shared.wire.turn import (
    Accepted,
    Claim,
    Completion,
    PieceRecord,
    Place,
    Publication,
    PublishedReply,
    Submission,
    WriteOutcome,
    decode_claim,
)

_SCRIPTS: Final = (
    "cancel", "places", "shield", "settle",
    "submit", "claim", "beat", "publish", "commit", "fail", "hand_over", "reclaim", "sweep",
)  # fmt: skip


class Turns:
    """The scripts, bound to a connection.

    Args:
        redis: decodes responses to `str`.
        settings: times and limits.
        window: tokens of a window, for whoever knows better than the settings.
        clock: of the server, in place of one of our own.
    """

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        settings: Settings,
        *,
        window: int | None = None,
        clock: ServerClock | None = None,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._settings = settings
        self._call = Scripts(redis, keys, *_SCRIPTS).call
        self.clock = clock or ServerClock(redis, keys, lease_s=settings.lease)
        self._ttls = {
            **expiries(settings),
            "deadline_error": error_data(DeadlineExceeded("the turn did not end within its time")),
        }
        self._start = {
            "lease_ms": milliseconds(settings.lease),
            "window": settings.window if window is None else window,
        }

    async def ensure_group(self) -> None:
        """Make the permits stream and its consumer group, from the stream's beginning."""
        try:
            await self._redis.xgroup_create(self._keys.permits, WORKER_GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def submit(self, submission: Submission) -> Accepted | None:
        """Accept a prompt; repeating it with the same ids is safe.

        Returns:
            What was accepted: this prompt, or the one that its idempotency key stands for. None if
            the new conversation's id exists already: choose another.

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
            brought=len(submission.request.earlier) or None,
            api=submission.api_id,
            stateless=1 if submission.stateless else None,
            response=1 if submission.response else None,
            behind=submission.after,
            window=self._settings.window,
            **idempotency_arguments(submission, self._settings),
            pending_limit=self._settings.pending_turns,
            queue_limit=self._settings.queue_limit,
            timeout_ms=milliseconds(self._settings.job_timeout),
            jobs_ttl_ms=expiries(self._settings)["jobs_ttl_ms"],
            silence_ms=milliseconds(WORKER_SILENCE_S),
            **submission.limits.arguments(),
        )
        match answer[0]:
            case "OK":
                allowance = allowance_of(answer, submission.limits)
                return Accepted(
                    job_id=submission.job_id,
                    conversation_id=answer[1],
                    allowance=allowance,
                    created_ms=int(answer[2]),
                )
            case "SAME":
                return Accepted(job_id=answer[1], conversation_id=answer[2])
            case "TAKEN":
                return None
        raise refusal(answer)

    async def cancel(self, job_id: str, owner_id: str) -> WriteOutcome:
        """End a turn that is not wanted any more; `GONE` if it is not this owner's."""
        return WriteOutcome(await self._call("cancel", job=job_id, owner=owner_id, **self._ttls))

    async def cancel_all(self, owner_id: str) -> int:
        """End all of an owner's turns; returns how many there were."""
        jobs = await self._redis.smembers(  # type: ignore[misc]  # redis-py types both clients as one
            self._keys.open(owner_id)
        )
        for job in jobs:
            await self.cancel(job, owner_id)
        return len(jobs)

    async def places(self, jobs: Sequence[str]) -> list[Place | None]:
        """Where turns stand in the queue, some hundred at most; None for those that do not wait."""
        answer = await self._call("places", jobs=" ".join(jobs))
        return [Place.of(*one) if one is not None else None for one in answer]

    async def lost(self, claims: Sequence[Claim]) -> list[Claim]:
        """Those of a worker's claims whose token is no longer theirs."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for claim in claims:
                pipe.hget(self._keys.job(claim.job_id), "token")
            tokens = await pipe.execute()
        return [c for c, token in zip(claims, tokens, strict=True) if token != c.fence]

    async def claim(
        self, permit: str, worker_id: str, nonce: str, *, model: str = "", shielded: bool = False
    ) -> Claim | None:
        """Bind a permit to the next ready turn; None if there was nothing to start.

        Repeating it with the same random `nonce` gives the same answer. `model` is the fingerprint
        of what the worker runs; a turn that starts `shielded` is not evaluated yet (`shield`).
        """
        answer = await self.clock.call(
            self._call,
            "claim",
            permit=permit,
            worker=worker_id,
            nonce=nonce,
            model=model,
            shielded=int(shielded),
            **self._start,
            **self._ttls,
        )
        return decode_claim(answer) if answer[0] == "CLAIMED" else None

    async def return_permit(self, permit: str) -> None:
        """Give back a permit that was read and not used: another worker is woken."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.xadd(self._keys.permits, {"j": ""})
            pipe.xack(self._keys.permits, WORKER_GROUP, permit)
            pipe.xdel(self._keys.permits, permit)
            await pipe.execute()

    async def reclaim(
        self,
        worker_id: str,
        nonce: str,
        *,
        model: str = "",
        shielded: bool = False,
        on_lost: Callable[[], None] = lambda: None,
    ) -> Claim | None:
        """Take over one turn whose worker is gone; None when there is none.

        Arguments and repetition as of `claim`. A turn that has crashed its workers
        `PALAVER_MAX_ATTEMPTS` times ends as failed, which `on_lost` is told.
        """
        while True:
            answer = await self.clock.call(
                self._call,
                "reclaim",
                worker=worker_id,
                nonce=nonce,
                model=model,
                shielded=int(shielded),
                max_attempts=self._settings.max_attempts,
                lost_error=error_data(WorkerLost("every worker that tried this turn was lost")),
                **self._start,
                **self._ttls,
            )
            if answer[0] == "LOST":
                on_lost()
            elif answer[0] != "FREED":
                return decode_claim(answer) if answer[0] == "CLAIMED" else None

    async def beat(self, claim: Claim, worker_id: str) -> WriteOutcome:
        """Renew the lease and the hold on the permit."""
        answer = await self._call(
            "beat",
            job=claim.job_id,
            token=claim.fence,
            permit=claim.permit_id,
            worker=worker_id,
            lease_ms=milliseconds(self._settings.lease),
        )
        return WriteOutcome(answer)

    async def publish_all(self, publications: Sequence[Publication]) -> list[WriteOutcome]:
        """Add a piece to each job's log and ring its doorbell."""
        fields: dict[str, Any] = {"n": len(publications)}
        for i, publication in enumerate(publications, start=1):
            said = {
                "job": publication.job_id,
                "token": publication.fence,
                "at": publication.at,
                "count": len(publication.piece.token_ids),
                "evaluated": publication.evaluated,
                "prompt": publication.prompt_tokens,
                **publication.piece.arguments(),
            }
            fields |= {f"{name}{i}": value for name, value in said.items()}
        return [WriteOutcome(one) for one in await self._call("publish", **fields)]

    async def publish(self, claim: Claim, at: int, piece: PieceRecord) -> WriteOutcome:
        """Add one piece; `at` is the number of token ids emitted before it, by all starts."""
        (outcome,) = await self.publish_all(
            [Publication(job_id=claim.job_id, fence=claim.fence, at=at, piece=piece)]
        )
        return outcome

    async def published(self, claim: Claim) -> PublishedReply:
        """Everything that earlier starts of this turn have emitted."""
        texts: list[str] = []
        token_ids: list[int] = []
        models: set[str] = set()
        model = ""
        for _, fields in await self._redis.xrange(self._keys.events(claim.job_id)):
            model = fields.get("m", model)
            if fields["e"] == "token":
                texts.append(orjson.loads(fields["d"])["text"])
                token_ids += (int(i) for i in fields["i"].split(",") if i)
                models.add(model)
        return PublishedReply(
            piece=PieceRecord(text="".join(texts), token_ids=tuple(token_ids)),
            models=frozenset(models),
        )

    async def shield(
        self, claims: Sequence[Claim], *, on: bool, cleared: Claim | None = None
    ) -> None:
        """Say of turns that they are not being evaluated, or that they may be again.

        A worker that dies meanwhile did not die of them. `cleared` is no suspect any more.
        """
        fields: dict[str, Any] = {"n": len(claims), "on": int(on)}
        for i, claim in enumerate(claims, start=1):
            fields |= {f"job{i}": claim.job_id, f"token{i}": claim.fence}
        if cleared is not None:
            fields |= {"cleared": cleared.job_id, "cleared_token": cleared.fence}
        await self._call("shield", **fields)

    async def commit(self, claim: Claim, completion: Completion) -> WriteOutcome:
        """End the turn with its reply."""
        piece = completion.piece.arguments() if completion.piece is not None else {}
        earlier = {
            f"earlier{i}": message.encode() for i, message in enumerate(completion.earlier, start=1)
        }
        answer = await self._call(
            "commit",
            job=claim.job_id,
            token=claim.fence,
            conversation=claim.conversation_id,
            number=completion.number,
            earlier=len(earlier),
            **earlier,
            user=completion.user.encode(),
            assistant=completion.assistant.encode(),
            context=completion.context,
            history_limit=self._settings.history_limit,
            offset=completion.offset,
            tokens=completion.tokens,
            window=completion.window,
            result=completion.result,
            reply=completion.reply,
            **piece,
            **self._ttls,
        )
        return WriteOutcome(answer)

    async def fail(self, claim: Claim, error: TurnFailed, spent: int = 0) -> WriteOutcome:
        """End the turn without a reply; `spent` tokens were evaluated and generated for it."""
        answer = await self._call(
            "fail",
            job=claim.job_id,
            token=claim.fence,
            status="failed",
            error=error_data(error),
            spent=spent,
            **self._ttls,
        )
        return WriteOutcome(answer)

    async def settle(self, claim: Claim, spent: int) -> WriteOutcome:
        """Tell what a turn cost that was ended elsewhere; a repetition costs nothing more."""
        answer = await self._call("settle", job=claim.job_id, token=claim.fence, spent=spent)
        return WriteOutcome(answer)

    async def hand_over(self, claim: Claim) -> WriteOutcome:
        """Give the turn back, at its place in the queue, without charging an attempt."""
        return WriteOutcome(await self._call("hand_over", job=claim.job_id, token=claim.fence))

    async def release(self, job_id: str, owner_id: str) -> None:
        """Nobody reads a stateless turn any more: end it, and keep nothing of what was said.

        While Redis is away it is left to its deadline and its expiry.
        """
        with contextlib.suppress(*REDIS_UNAVAILABLE):
            if await self.cancel(job_id, owner_id) is WriteOutcome.DUP:
                await self._redis.delete(self._keys.job(job_id), self._keys.events(job_id))

    async def sweep(self) -> int:
        """Repair what was lost; returns how many turns past their deadline were ended."""
        await self.clock.look()
        [ended] = await self.clock.call(self._call, "sweep", **self._ttls)
        return int(ended)


def error_data(error: TurnFailed) -> bytes:
    """A failed turn's event data."""
    body = {"code": error.code, "detail": str(error), **error.details}
    return orjson.dumps({"error": body})


def expiries(settings: Settings) -> dict[str, int]:
    """How long what an ended turn leaves behind is kept."""
    named_s = max(settings.job_ttl, idempotency_lifetime_s(settings))
    return {
        "job_ttl_ms": milliseconds(settings.job_ttl),
        "jobs_ttl_ms": milliseconds(named_s),
        "events_ttl_ms": milliseconds(min(settings.events_ttl, settings.job_ttl)),
        "conversation_ttl_ms": milliseconds(settings.conversation_ttl),
    }
