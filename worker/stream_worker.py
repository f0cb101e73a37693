"""An arq worker woken through a Redis Stream instead of polling.

arq runs the process: job functions, the table of running tasks, start-up and shut-down. Its own
queue, a sorted set polled twice a second, is replaced by ours, which rings this worker's bell. What
this relies on in arq 0.28 is pinned by `tests/unit/test_arq_contract.py` (docs/decisions/0034).
"""

import asyncio
import logging
from typing import Any, Final, Protocol

import orjson
from arq.utils import timestamp_ms
from arq.worker import Worker, func
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import TurnFailed
from shared.process.tasks import end
from shared.store.connection import REDIS_UNAVAILABLE, trouble
from shared.wire.claim import Claim
from worker.arq_records import ArqRecords
from worker.idle import Idle
from worker.running_turn import CancelReason, RunningTurn, RunningTurns

log = logging.getLogger(__name__)

_FUNCTION: Final = "reply"
_PAUSE_S: Final = 0.2
"""Between an error of Redis and the next read."""
_UNBLOCK_PAUSE_S: Final = 0.01
_UNLIMITED: Final = 1 << 30
"""Tries in arq's sense; the queue decides how often a turn may be started."""


class Bells(Protocol):
    """Wake the worker; `bells.BellReader` says how."""

    async def next(self) -> bool: ...

    def reset(self) -> None: ...

    async def unblock(self) -> None: ...

    async def close(self) -> None: ...


class Line(Protocol):
    """Where turns wait; `claimer.Claimer` says how they are taken."""

    @property
    def lock(self) -> asyncio.Lock: ...

    async def take(self, number: int, busy: int) -> list[Claim]: ...

    def may_have_more(self, turn: RunningTurn) -> bool: ...


class Answers(Protocol):
    """Has a turn answered (`reply.Replier`)."""

    async def reply(self, turn: RunningTurn) -> None: ...


class Ends(Protocol):
    """Ends a turn that could not be run (`turn_closer.TurnCloser`)."""

    async def fail(self, turn: RunningTurn, error: TurnFailed) -> None: ...


async def reply(ctx: dict[str, Any]) -> None:
    """The arq function: answer the turn that was claimed under this arq id."""
    turn: RunningTurn = ctx["running"][ctx["job_id"]]
    replier: Answers = ctx["replier"]
    await replier.reply(turn)


class StreamWorker(Worker):
    """Waits for its bell, takes turns, runs them as arq jobs.

    Args:
        redis: for the little that arq asks at its start.
        running: the turns that run; filled here.
        idle: told of each that begins and ends.
        slots: how many turns run together.
    """

    def __init__(
        self,
        redis: Redis,
        bells: Bells,
        claimer: Line,
        replier: Answers,
        closer: Ends,
        *,
        running: RunningTurns,
        idle: Idle,
        slots: int,
    ) -> None:
        super().__init__(
            functions=[func(reply, name=_FUNCTION, timeout=None)],
            redis_pool=ArqRecords(_FUNCTION, redis.connection_pool),
            queue_name=None,
            max_jobs=slots,
            job_timeout=None,  # type: ignore[arg-type]  # arq takes None; the job has its own limit
            poll_delay=0,
            max_tries=_UNLIMITED,
            keep_result=0,
            handle_signals=False,
            retry_jobs=False,
            log_results=False,
            ctx={"running": running, "replier": replier},
            job_serializer=orjson.dumps,
            job_deserializer=orjson.loads,
        )
        self._bells = bells
        self._claimer = claimer
        self._closer = closer
        self._running = running
        self._idle = idle
        self._is_reading = False
        self._may_take = True
        self._waking: asyncio.Task[None] | None = None
        self._slot_freed = asyncio.Event()

    @property
    def free_slots(self) -> int:
        """How many turns may be started now."""
        return max(0, self.max_jobs - self.job_counter) if self.allow_pick_jobs else 0

    async def drain(self, grace_s: float) -> None:
        """Take no more turns, wait up to `grace_s` for the running ones, hand over the rest."""
        self.allow_pick_jobs = False
        while self._is_reading:
            await self._bells.unblock()
            await asyncio.sleep(_UNBLOCK_PAUSE_S)
        tasks = [task for task in self.tasks.values() if not task.done()]
        if tasks and grace_s > 0:
            await asyncio.wait(tasks, timeout=grace_s)
        for turn in list(self._running.values()):
            turn.cancel(CancelReason.DRAIN)
        if tasks:
            await asyncio.wait(tasks)
        if self.main_task is not None:
            self.main_task.cancel()

    async def _take_turns(self) -> None:
        """Fill the free slots, or wait for the bell until there is something to fill them with."""
        if not self._may_take:
            # A turn that ended meanwhile may have left one to take: that is why the read was ended.
            self._may_take = await self._bells.next() or self._may_take
            return
        self._may_take = False
        async with self._claimer.lock:
            if number := self.free_slots:
                for claim in await self._claimer.take(number, self.job_counter):
                    self._start(claim)

    def _start(self, claim: Claim) -> None:
        """Run a claimed turn as an arq job."""
        turn = self._running[claim.arq_id] = RunningTurn(claim)
        self.job_counter += 1
        self._idle.turn_begins()
        task = self.loop.create_task(self._run(turn), name=f"turn {claim.job_id}")
        self.tasks[claim.arq_id] = task
        task.add_done_callback(lambda _: self._ended(claim.arq_id))

    async def _run(self, turn: RunningTurn) -> None:
        try:
            await self.run_job(turn.claim.arq_id, timestamp_ms())
        except RedisError:
            log.exception("job %s could not be run; its lease will expire", turn.claim.job_id)

    def _ended(self, arq_id: str) -> None:
        turn = self._running.pop(arq_id, None)
        self.tasks.pop(arq_id, None)
        self.job_counter -= 1
        self._idle.turn_ended()
        if turn is not None and self._claimer.may_have_more(turn):
            self._may_take = True
            if self._is_reading:
                self._waking = self.loop.create_task(self._bells.unblock(), name="wake")
        self._slot_freed.set()

    # What arq calls.

    async def main(self) -> None:
        """arq's own, retried: it begins by asking Redis for its version."""
        while True:
            try:
                return await super().main()
            except REDIS_UNAVAILABLE as error:
                trouble.met(error, "turns")
                await asyncio.sleep(_PAUSE_S)

    async def _poll_iteration(self) -> None:
        """Wait for a free slot, then for a turn that may start."""
        if not self.free_slots:
            self._slot_freed.clear()
            await self._slot_freed.wait()
            return
        self._is_reading = True
        try:
            await self._take_turns()
            trouble.over("turns")
        except (RedisError, OSError) as error:
            trouble.met(error, "turns")
            self._bells.reset()
            self._may_take = True
            await asyncio.sleep(_PAUSE_S)
        finally:
            self._is_reading = False

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
        """Nothing to do: the turn's own script has ended it."""

    async def finish_failed_job(self, job_id: str, result_data: bytes | None) -> None:
        """arq could not even run the job: fail the turn, so that its client gets an answer."""
        turn = self._running.get(job_id)
        if turn is not None:
            await self._closer.fail(turn, TurnFailed("the worker could not run this turn"))

    async def close(self) -> None:
        """Cancel what still runs and close the connections."""
        await end(*self.tasks.values())
        try:
            await super().close()
        finally:
            await self._bells.close()

    async def record_health(self) -> None:
        """Nothing to do: the heartbeat reports this worker's health."""
