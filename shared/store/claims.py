"""What workers ask of turns: the Python side of the scripts from `claim` to `sweep`.

A turn is submitted (`submissions.py`), becomes ready when it is its conversation's first, is
claimed by a worker, publishes its pieces and ends exactly once. Each step is one atomic script.
Every write carries the fence that came with the claim: a worker that was given up for dead, and
whose turn another worker has, changes nothing any more.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from shared.config import Settings
from shared.errors import DeadlineExceeded, TurnFailed, WorkerLost
from shared.store.expiry import expiries
from shared.store.keys import WORKER_GROUP, Keys
from shared.store.scripts import Scripts, milliseconds
from shared.store.server_clock import ServerClock
from shared.wire.claim import Claim, decode_claim
from shared.wire.completion import Completion
from shared.wire.publication import PieceRecord, Publication, PublishedReply
from shared.wire.write_outcome import WriteOutcome

_SCRIPTS: Final = (
    "claim", "reclaim", "hand_over", "beat", "publish", "shield", "commit", "fail", "settle",
    "sweep",
)  # fmt: skip


class Claims:
    """Turns as workers see them: claimed, kept alive, published, ended or handed over.

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
            fence=claim.fence,
            permit=claim.permit_id,
            worker=worker_id,
            lease_ms=milliseconds(self._settings.lease),
        )
        return WriteOutcome(answer)

    async def lost(self, claims: Sequence[Claim]) -> list[Claim]:
        """Those of a worker's claims whose token is no longer theirs."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for claim in claims:
                pipe.hget(self._keys.job(claim.job_id), "token")
            tokens = await pipe.execute()
        return [c for c, token in zip(claims, tokens, strict=True) if token != c.fence]

    async def publish_all(self, publications: Sequence[Publication]) -> list[WriteOutcome]:
        """Add a piece to each job's log and ring its doorbell."""
        fields: dict[str, Any] = {"n": len(publications)}
        for i, publication in enumerate(publications, start=1):
            said = {
                "job": publication.job_id,
                "fence": publication.fence,
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
        """Tell what a turn cost that was ended elsewhere; a repetition costs nothing more."""
        answer = await self._call("settle", job=claim.job_id, fence=claim.fence, spent=spent)
        return WriteOutcome(answer)

    async def hand_over(self, claim: Claim) -> WriteOutcome:
        """Give the turn back, at its place in the queue, without charging an attempt."""
        return WriteOutcome(await self._call("hand_over", job=claim.job_id, fence=claim.fence))

    async def sweep(self) -> int:
        """Repair what was lost; returns how many turns past their deadline were ended."""
        await self.clock.look()
        [ended] = await self.clock.call(self._call, "sweep", **self._ttls)
        return int(ended)


def error_data(error: TurnFailed) -> bytes:
    """A failed turn's event data."""
    body = {"code": error.code, "detail": str(error), **error.details}
    return orjson.dumps({"error": body})
