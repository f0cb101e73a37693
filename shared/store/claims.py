"""A turn from the workers' side: take it, keep it alive, publish its reply, end it.

A submitted turn (`submissions.py`) may start when it is the first of its conversation. A worker
takes it, publishes its pieces and ends it exactly once. Each step is one atomic script. Every write
carries the fence that came with the claim, so a worker that was declared lost can no longer change
a turn that another worker has.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
from redis.asyncio import Redis

from shared.config import Settings
from shared.errors import DeadlineExceeded, TurnFailed, WorkerLost
from shared.store.data_format import FORMAT_OF_PARTS
from shared.store.expiry import expiries
from shared.store.keys import Keys
from shared.store.scripts import Scripts, milliseconds
from shared.store.server_clock import ServerClock
from shared.wire.announced import Keeper
from shared.wire.claim import Claim
from shared.wire.completion import Completion
from shared.wire.models import one_line
from shared.wire.parts import PART_OF_EVENT
from shared.wire.publication import (
    PieceRecord,
    Publication,
    PublishedReply,
    Receipt,
    arguments_of,
)
from shared.wire.write_outcome import WriteOutcome

_SCRIPTS: Final = (
    "take", "keep", "hand_over", "beat", "publish", "shield", "commit", "fail", "settle",
)  # fmt: skip
_TAKEN_MS: Final = 60_000
"""How long it is known which turns a worker took last; it repeats a lost call within that time."""
_FOLDED_BY_HOME_MS: Final = 30_000
"""For this long only the worker that has a conversation in its cache adds to the summary."""
_KEEPER_MS: Final = 3_000
"""After this long without a sign of life from the queue's keeper, another worker is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What keeping the queue has ended.

    Args:
        next_s: until there is more to do; None if nothing is known of.
        late: turns that were past their deadline.
        lost: turns that had lost too many workers.
        is_swept: whether nothing is left of the sweep.
    """

    next_s: float | None
    late: int
    lost: int
    is_swept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a turn left its worker.

    Args:
        more: whether a turn waits that the worker may start in its place.
        progress: how many of the reply's token ids are published; if less is than was.
    """

    outcome: WriteOutcome
    more: bool
    progress: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What others want of turns that a worker runs.

    Args:
        lost: turns that another worker has, or that have ended.
        stopped: turns of whose replies no more is wanted than what is written.
    """

    lost: Sequence[Claim]
    stopped: Sequence[Claim]


class Claims:
    """Takes turns, and writes what their workers have to say.

    Args:
        redis: decodes responses to `str`.
        settings: times and limits.
        pool: the name of the model that the worker serves.
        window: tokens of a window, where the settings leave it to the model.
        clock: the server's; None makes one.
    """

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        settings: Settings,
        *,
        pool: str = "",
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
        self._pool = pool
        self._window = {"window": settings.window if window is None else window}

    async def take(
        self,
        worker_id: str,
        nonce: str,
        number: int,
        *,
        busy: int = 0,
        model: str = "",
        shielded: bool = False,
    ) -> list[Claim]:
        """Start up to so many turns on a worker that has as many free slots.

        If there are fewer, the worker is woken by its bells for the next one. Repeating the call
        with the same random `nonce` gives the same answer. `busy` is how many of its slots are
        taken: of all workers with a free one, the least busy is woken first. `model` is the
        fingerprint of the worker's model; turns that start `shielded` are not evaluated yet
        (`shield`).
        """
        answer = await self.clock.call(
            self._call,
            "take",
            worker=worker_id,
            pool=self._pool,
            nonce=nonce,
            n=number,
            busy=busy,
            model=model,
            shielded=int(shielded),
            lease_ms=milliseconds(self._settings.lease),
            taken_ms=_TAKEN_MS,
            **self._window,
            **self._ttls,
        )
        return [Claim.decode(turn) for turn in answer[1:]]

    async def keep(self, worker_id: str, *, may_reclaim: bool, sweep: bool) -> Kept | None:
        """Keep the queue, unless another worker does it: then None.

        Ends holds, and gives turns whose worker is lost back to the line (`may_reclaim`); a turn
        that has lost `PALAVER_MAX_ATTEMPTS` workers fails. With `sweep` also repairs what was lost,
        and ends waiting turns that are past their deadline.
        """
        answer = await self.clock.call(
            self._call,
            "keep",
            worker=worker_id,
            keeper_ms=_KEEPER_MS,
            silent_ms=milliseconds(self._settings.heartbeat),
            reclaim=int(may_reclaim),
            sweep=int(sweep),
            max_attempts=self._settings.max_attempts,
            lost_error=error_data(WorkerLost("every worker that tried this turn was lost")),
            **self._window,
            **self._ttls,
        )
        if answer[0] != "KEPT":
            return None
        _, next_ms, late, lost, is_swept = answer
        next_s = None if next_ms < 0 else next_ms / 1000
        return Kept(next_s=next_s, late=late, lost=lost, is_swept=bool(is_swept))

    async def keeper(self) -> Keeper:
        """Who keeps the queue; costs less than a try to do it."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.get(self._keys.keeper)
            pipe.zcard(self._keys.workers)
            worker_id, workers = await pipe.execute()
        return Keeper(worker_id=worker_id, workers=workers)

    async def beat(self, claims: Sequence[Claim], worker_id: str) -> list[WriteOutcome]:
        """Renew the leases of these turns."""
        fields: dict[str, Any] = {"n": len(claims)}
        for i, claim in enumerate(claims, start=1):
            fields |= {f"job{i}": claim.job_id, f"fence{i}": claim.fence}
        answers = await self._call(
            "beat", worker=worker_id, lease_ms=milliseconds(self._settings.lease), **fields
        )
        return [WriteOutcome(answer) for answer in answers]

    async def wishes(self, claims: Sequence[Claim]) -> Wishes:
        """What has become of these turns while their worker runs them."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for claim in claims:
                pipe.hmget(self._keys.job(claim.job_id), ["token", "stop"])
            answers = await pipe.execute()
        lost, stopped = [], []
        for claim, (fence, stop) in zip(claims, answers, strict=True):
            if fence != claim.fence:
                lost.append(claim)
            elif stop is not None:
                stopped.append(claim)
        return Wishes(lost=lost, stopped=stopped)

    async def publish_all(self, publications: Sequence[Publication]) -> list[Receipt]:
        """Add a piece to each job's log and notify those who watch the job."""
        fields: dict[str, Any] = {"n": len(publications)}
        for i, publication in enumerate(publications, start=1):
            arguments = {
                "job": publication.job_id,
                "fence": publication.fence,
                "at": publication.at,
                "count": publication.num_ids,
                "evaluated": publication.evaluated,
                "prompt": publication.prompt_tokens,
            }
            fields |= {f"{name}{i}": value for name, value in arguments.items()}
            fields |= arguments_of(publication.pieces, str(i), publication.log_ids)
        return [_receipt(*answer) for answer in await self._call("publish", **fields)]

    async def publish(self, claim: Claim, at: int, piece: PieceRecord) -> WriteOutcome:
        """Publish one piece; `at` is the number of token ids published before it, by all starts."""
        (receipt,) = await self.publish_all(
            [Publication(job_id=claim.job_id, fence=claim.fence, at=at, pieces=(piece,))]
        )
        return receipt.outcome

    async def published(self, claim: Claim) -> PublishedReply:
        """Everything that earlier starts of this turn have published."""
        pieces: list[PieceRecord] = []
        models: set[str] = set()
        model = ""
        for _, fields in await self._redis.xrange(self._keys.events(claim.job_id)):
            model = fields.get("m", model)
            if (kind := PART_OF_EVENT.get(fields["e"])) is not None:
                token_ids = tuple(int(i) for i in fields["i"].split(",") if i)
                pieces.append(PieceRecord.from_event(kind, fields["d"], token_ids))
                models.add(model)
        return PublishedReply(pieces=tuple(pieces), models=frozenset(models))

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

    async def commit(self, claim: Claim, completion: Completion) -> Ended:
        """End the turn with its reply."""
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
            continued=completion.user.job_id if completion.continues else None,
            assistant=replace(completion.assistant, model_name="").encode(),
            model=one_line(completion.assistant.model_name) or None,
            format=FORMAT_OF_PARTS if completion.needs_parts else None,
            context=completion.context,
            memory=claim.request.memory,
            folds=_FOLDED_BY_HOME_MS if completion.folds else None,
            history_limit=self._settings.history_limit,
            alternatives=self._settings.alternatives,
            offset=completion.offset,
            tokens=completion.tokens,
            prompt_tokens=completion.prompt_tokens,
            cached_tokens=completion.cached_tokens,
            saves_ms=completion.saves_ms,
            prefix=completion.prefix or None,
            window=completion.window,
            result=completion.result,
            reply=completion.reply,
            at=completion.at,
            **arguments_of(completion.pieces),
            **self._ttls,
        )
        return _ended(answer)

    async def fail(self, claim: Claim, error: TurnFailed, spent: int = 0) -> Ended:
        """End the turn without a reply; `spent` tokens were evaluated and generated for it."""
        answer = await self._call(
            "fail",
            job=claim.job_id,
            fence=claim.fence,
            status="failed",
            error=error_data(error),
            event=error_data(error),
            spent=spent,
            **self._ttls,
        )
        return _ended(answer)

    async def give_up(self, claim: Claim, spent: int) -> Ended:
        """End a turn that was stopped before anything was written, as if it had been cancelled."""
        answer = await self._call(
            "fail",
            job=claim.job_id,
            fence=claim.fence,
            status="cancelled",
            error="",
            event="{}",
            spent=spent,
            **self._ttls,
        )
        return _ended(answer)

    async def settle(self, claim: Claim, spent: int) -> WriteOutcome:
        """Charge what a turn cost that was ended elsewhere; a repetition charges nothing more."""
        answer = await self._call("settle", job=claim.job_id, fence=claim.fence, spent=spent)
        return WriteOutcome(answer)

    async def hand_over(self, claim: Claim) -> WriteOutcome:
        """Give the turn back: it keeps its place in the queue, and no attempt is charged."""
        return WriteOutcome(await self._call("hand_over", job=claim.job_id, fence=claim.fence))


def _ended(answer: Sequence[Any]) -> Ended:
    progress = int(answer[2]) if len(answer) > 2 else 0
    return Ended(outcome=WriteOutcome(answer[0]), more=bool(answer[1]), progress=progress)


def _receipt(outcome: str, followers: int, *others: str) -> Receipt:
    if outcome == WriteOutcome.BEHIND:
        return Receipt(outcome=WriteOutcome.BEHIND, progress=int(others[0]))
    return Receipt(outcome=WriteOutcome(outcome), is_followed=followers > 0, log_ids=others)


def error_data(error: TurnFailed) -> bytes:
    """The event data of a failed turn."""
    body = {"code": error.code, "detail": str(error), **error.details}
    return orjson.dumps({"error": body})
