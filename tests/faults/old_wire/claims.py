"""A turn from the workers' side: claim it, keep it alive, publish its reply, end it.

A submitted turn (`submissions.py`) becomes ready when it is the first of its conversation. A worker
claims it, publishes its pieces and ends it exactly once. Each step is one atomic script. Every
write carries the fence that came with the claim, so a worker that was declared lost can no longer
change a turn that another worker has.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from shared.config import Settings
from shared.errors import DeadlineExceeded, TurnFailed, WorkerLost
from shared.store.expiry import expiries
from shared.store.keys import Keys as CurrentKeys
from shared.store.server_clock import ServerClock
from shared.wire.write_outcome import WriteOutcome
from tests.faults.old_wire.claim import Claim
from tests.faults.old_wire.completion import Completion
from tests.faults.old_wire.keys import WORKER_GROUP, Keys
from tests.faults.old_wire.publication import PieceRecord, Publication, PublishedReply
from tests.faults.old_wire.scripts import Scripts, milliseconds

_SCRIPTS: Final = (
    "claim", "reclaim", "hand_over", "beat", "publish", "shield", "commit", "fail", "settle",
    "sweep",
)  # fmt: skip


class Claims:
    """Claims turns, and writes what their workers have to say.

    Args:
        redis: decodes responses to `str`.
        settings: times and limits.
        window: tokens of a window, where the settings leave it to the model.
        clock: the server's; None makes one.
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
        self.clock = clock or ServerClock(
            redis, CurrentKeys(keys.namespace), lease_s=settings.lease
        )
        self._ttls = {
            **expiries(settings),
            "deadline_error": error_data(DeadlineExceeded("the turn did not end within its time")),
        }
        self._start = {
            "lease_ms": milliseconds(settings.lease),
            "window": settings.window if window is None else window,
        }

    async def ensure_group(self) -> None:
        """Create the permits stream and its consumer group, which reads it from the beginning."""
        try:
            await self._redis.xgroup_create(self._keys.permits, WORKER_GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def claim(
        self, permit: str, worker_id: str, nonce: str, *, model: str = "", shielded: bool = False
    ) -> Claim | None:
        """Bind a permit to the next ready turn; None if there was nothing to start.

        Repeating the call with the same random `nonce` gives the same answer. `model` is the
        fingerprint of the worker's model; a turn that starts `shielded` is not evaluated yet
        (`shield`).
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
        return Claim.decode(answer) if answer[0] == "CLAIMED" else None

    async def return_permit(self, permit: str) -> None:
        """Give back a permit that was read and not used, which wakes another worker."""
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
        """Take over one turn whose worker is lost; None if there is none.

        Arguments and repetition are as in `claim`. A turn that has crashed its workers
        `PALAVER_MAX_ATTEMPTS` times fails; `on_lost` is called for each.
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
                return Claim.decode(answer) if answer[0] == "CLAIMED" else None

    async def beat(self, claim: Claim, worker_id: str) -> WriteOutcome:
        """Renew the lease and the hold on the permit."""
        answer = await self._call(
            "beat",
            job=claim.job_id,
            fence=claim.fence,
            permit=claim.permit_id,
            worker=worker_id,
            lease_ms=milliseconds(self._settings.lease),
        )
        return WriteOutcome(answer)

    async def lost(self, claims: Sequence[Claim]) -> list[Claim]:
        """The claims that are lost: another worker has the turn, or it has ended."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for claim in claims:
                pipe.hget(self._keys.job(claim.job_id), "token")
            fences = await pipe.execute()
        return [claim for claim, fence in zip(claims, fences, strict=True) if fence != claim.fence]

    async def publish_all(self, publications: Sequence[Publication]) -> list[WriteOutcome]:
        """Add a piece to each job's log and notify those who watch the job."""
        fields: dict[str, Any] = {"n": len(publications)}
        for i, publication in enumerate(publications, start=1):
            arguments = {
                "job": publication.job_id,
                "fence": publication.fence,
                "at": publication.at,
                "count": len(publication.piece.token_ids),
                "evaluated": publication.evaluated,
                "prompt": publication.prompt_tokens,
                **publication.piece.arguments(),
            }
            fields |= {f"{name}{i}": value for name, value in arguments.items()}
        return [WriteOutcome(answer) for answer in await self._call("publish", **fields)]

    async def publish(self, claim: Claim, at: int, piece: PieceRecord) -> WriteOutcome:
        """Publish one piece; `at` is the number of token ids published before it, by all starts."""
        (outcome,) = await self.publish_all(
            [Publication(job_id=claim.job_id, fence=claim.fence, at=at, piece=piece)]
        )
        return outcome

    async def published(self, claim: Claim) -> PublishedReply:
        """Everything that earlier starts of this turn have published."""
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
        """Mark turns as not being evaluated, or as evaluated again.

        A worker that dies meanwhile did not die of them. `cleared` is no longer a suspect.
        """
        fields: dict[str, Any] = {"n": len(claims), "on": int(on)}
        for i, claim in enumerate(claims, start=1):
            fields |= {f"job{i}": claim.job_id, f"fence{i}": claim.fence}
        if cleared is not None:
            fields |= {"cleared": cleared.job_id, "cleared_fence": cleared.fence}
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
            fence=claim.fence,
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
            fence=claim.fence,
            status="failed",
            error=error_data(error),
            spent=spent,
            **self._ttls,
        )
        return WriteOutcome(answer)

    async def settle(self, claim: Claim, spent: int) -> WriteOutcome:
        """Charge what a turn cost that was ended elsewhere; a repetition charges nothing more."""
        answer = await self._call("settle", job=claim.job_id, fence=claim.fence, spent=spent)
        return WriteOutcome(answer)

    async def hand_over(self, claim: Claim) -> WriteOutcome:
        """Give the turn back: it keeps its place in the queue, and no attempt is charged."""
        return WriteOutcome(await self._call("hand_over", job=claim.job_id, fence=claim.fence))

    async def sweep(self) -> int:
        """Repair what was lost; returns the number of overdue turns that were ended."""
        await self.clock.look()
        [ended] = await self.clock.call(self._call, "sweep", **self._ttls)
        return int(ended)


def error_data(error: TurnFailed) -> bytes:
    """The event data of a failed turn."""
    body = {"code": error.code, "detail": str(error), **error.details}
    return orjson.dumps({"error": body})
