"""An arq worker fed by permits on a Redis Stream: woken by the event instead of polling.

arq gives the process: job functions, the table of running tasks, start-up and shut-down. Its own
queue, a sorted set polled twice a second, is replaced by one consumer group. What is relied upon of
arq 0.28 is pinned by `tests/unit/test_arq_contract.py`.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable
from typing import Any, Final

import orjson
from arq.utils import timestamp_ms
from arq.worker import Worker, func
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from shared.errors import TurnFailed
from shared.store.claims import Claims
from shared.store.connection import REDIS_UNAVAILABLE, trouble
from shared.store.keys import WORKER_GROUP, Keys
from shared.wire.claim import Claim
from worker.arq_records import ArqRecords
from worker.held import GivenUp, Held, Holdings
from worker.quarantine import Quarantine
from worker.reply import Replier
from worker.retry import retry

log = logging.getLogger(__name__)

_FUNCTION: Final = "reply"
_BLOCK_MS: Final = 5000
"""A read returns at least this often, so that a dead connection is noticed."""
_PAUSE_S: Final = 0.2
"""After an error of Redis, before the next read."""
_UNBLOCK_PAUSE_S: Final = 0.01
_UNLIMITED: Final = 1 << 30
"""Tries in arq's sense; how often a turn may be started is decided by `reclaim`."""


async def reply(ctx: dict[str, Any]) -> None:
    """The arq function: answer the turn that was claimed under this arq id."""
    held: Held = ctx["holdings"][ctx["job_id"]]
    replier: Replier = ctx["replier"]
    await replier.reply(held)


class StreamWorker(Worker):
    """Reads permits, claims turns, runs them as arq jobs.

    Args:
        redis: for blocking reads, one connection of its own; decodes responses.
        holdings: the turns that run; filled here.
        worker_id: our consumer name; unique to this process.
        model: the fingerprint of the model that we run.
        slots: how many turns run together.
    """

    def __init__(
        self,
        *,
        redis: Redis,
        keys: Keys,
        turns: Claims,
        replier: Replier,
        quarantine: Quarantine,
        holdings: Holdings,
        worker_id: str,
        model: str,
        slots: int,
    ) -> None:
        self.holdings = holdings
        super().__init__(
            functions=[func(reply, name=_FUNCTION, timeout=None)],
            redis_pool=ArqRecords(_FUNCTION, redis.connection_pool),
            queue_name=None,
            max_jobs=slots,
            job_timeout=None,  # type: ignore[arg-type]  # ours is in the job; arq takes None for "no limit"
            poll_delay=0,
            max_tries=_UNLIMITED,
            keep_result=0,
            handle_signals=False,
            retry_jobs=False,
            log_results=False,
            ctx={"holdings": self.holdings, "replier": replier},
            job_serializer=orjson.dumps,
            job_deserializer=orjson.loads,
        )
        self.worker_id = worker_id
        self._reader = redis.client()
        self._redis = redis
        self._keys = keys
        self._turns = turns
        self._connection_id: int | None = None
        self._stranded: list[str] = []
        self._reading = False
        self._quarantine = quarantine
        self._model = model
        self._reclaim_nonce: str | None = None
        self._slot_freed = asyncio.Event()

    @property
    def has_free_slot(self) -> bool:
        """Whether another turn may be started now."""
        return self.allow_pick_jobs and self.job_counter < self.max_jobs

    def start_turn(self, claim: Claim) -> None:
        """Run a claimed turn as an arq job."""
        held = self.holdings[claim.arq_id] = Held(claim)
        self.job_counter += 1
        task = self.loop.create_task(self._run_turn(held), name=f"turn {claim.job_id}")
        self.tasks[claim.arq_id] = task
        task.add_done_callback(lambda _: self._turn_ended(claim.arq_id))

    async def drain(self, grace_s: float) -> None:
        """Take no more turns, let the running ones end within `grace_s`, hand the rest over."""
        self.allow_pick_jobs = False
        while self._reading:
            await self._unblock_reader()
            await asyncio.sleep(_UNBLOCK_PAUSE_S)
        running = [task for task in self.tasks.values() if not task.done()]
        if running and grace_s > 0:
            await asyncio.wait(running, timeout=grace_s)
        for held in list(self.holdings.values()):
            held.give_up(GivenUp.DRAIN)
        if running:
            await asyncio.wait(running)
        if self.main_task is not None:
            self.main_task.cancel()

    async def _run_turn(self, held: Held) -> None:
        try:
            await self.run_job(held.claim.arq_id, timestamp_ms())
        except RedisError:
            log.exception("job %s could not be run; its lease will run out", held.claim.job_id)

    def _turn_ended(self, arq_id: str) -> None:
        self.holdings.pop(arq_id, None)
        self.tasks.pop(arq_id, None)
        self.job_counter -= 1
        self._slot_freed.set()

    async def main(self) -> None:
        """arq's, which asks Redis for its version first: what fails there is tried again."""
        while True:
            try:
                return await super().main()
            except REDIS_UNAVAILABLE as error:
                trouble.met(error, "permits")
                await asyncio.sleep(_PAUSE_S)

    async def _poll_iteration(self) -> None:
        """Wait for a free slot, then for a permit, and start the turn it gives."""
        if not self.has_free_slot:
            self._slot_freed.clear()
            await self._slot_freed.wait()
            return
        self._reading = True
        try:
            await self._take_turn()
            trouble.over("permits")
        except REDIS_UNAVAILABLE as error:
            trouble.met(error, "permits")
            self._connection_id = None
            await asyncio.sleep(_PAUSE_S)
        except ResponseError as error:
            await self._repair_group(error)
        finally:
            self._reading = False

    async def _take_turn(self) -> None:
        permit = await self._next_permit()
        if permit is None:
            return
        async with self._quarantine.claiming:
            if not self.has_free_slot:
                await self._turns.return_permit(permit)
                return
            nonce, shielded = secrets.token_hex(8), self._quarantine.is_active
            claim = await retry(
                "claim",
                lambda: self._turns.claim(
                    permit, self.worker_id, nonce, model=self._model, shielded=shielded
                ),
            )
            if claim is not None:
                self.start_turn(claim)

    async def take_over(self, on_lost: Callable[[], None]) -> Claim | None:
        """Start a turn whose worker is gone, if there is one and a slot for it.

        `on_lost` is told of each that was given up instead.

        Not repeated while Redis is away: afterwards the others are given time to renew their
        leases. What a lost answer gave us is asked for again the next time.

        Raises:
            RedisError: nothing was heard.
        """
        async with self._quarantine.claiming:
            if not self.has_free_slot:
                return None
            self._reclaim_nonce = self._reclaim_nonce or secrets.token_hex(8)
            claim = await self._turns.reclaim(
                self.worker_id,
                self._reclaim_nonce,
                model=self._model,
                shielded=self._quarantine.is_active,
                on_lost=on_lost,
            )
            self._reclaim_nonce = None
            if claim is not None:
                self.start_turn(claim)
            return claim

    async def _next_permit(self) -> str | None:
        """The next permit; after a new connection first those that a lost answer had brought us."""
        if self._connection_id is None:
            connection_id = await self._reader.client_id()
            self._stranded = await self._stranded_permits()
            self._connection_id = connection_id
        if self._stranded:
            return self._stranded.pop()
        answer = await self._reader.xreadgroup(
            WORKER_GROUP, self.worker_id, {self._keys.permits: ">"}, count=1, block=_BLOCK_MS
        )
        return answer[0][1][0][0] if answer else None

    async def _stranded_permits(self) -> list[str]:
        pending = await self._reader.xpending_range(
            self._keys.permits, WORKER_GROUP, "-", "+", 1000, consumername=self.worker_id
        )
        bound = {held.claim.permit_id for held in self.holdings.values()}
        return [entry["message_id"] for entry in pending if entry["message_id"] not in bound]

    async def _repair_group(self, error: ResponseError) -> None:
        if "NOGROUP" not in str(error):
            trouble.met(error, "permits")
            await asyncio.sleep(_PAUSE_S)
        await retry("group", self._turns.ensure_group)

    async def _unblock_reader(self) -> None:
        """Wake the blocked read; cancelled, it could leave an entry that was on its way to us."""
        if self._connection_id is not None:
            with contextlib.suppress(*REDIS_UNAVAILABLE, ResponseError):
                await self._redis.client_unblock(self._connection_id)

    async def finish_job(
        self,
        job_id: str,
        finish: bool,
        result_data: bytes | None,
        result_timeout_s: float | None,
        keep_result_forever: bool,
        incr_score: int | None,
        keep_in_progress: float | None,
    ) -> None:
        """Nothing to do: the turn has been ended by its script."""

    async def finish_failed_job(self, job_id: str, result_data: bytes | None) -> None:
        """arq could not even run the job: end the turn, so that its client hears of it."""
        held = self.holdings.get(job_id)
        if held is not None:
            error = TurnFailed("the worker could not run this turn")
            await retry("fail", lambda: self._turns.fail(held.claim, error))

    async def close(self) -> None:
        """Cancel what still runs and close our connections."""
        try:
            await super().close()
        finally:
            await self._reader.aclose()

    async def record_health(self) -> None:
        """Workers report their health in their own heartbeat."""
