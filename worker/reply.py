"""The job: a claimed turn from its prompt to its committed reply."""

import asyncio
import logging

from shared.errors import DeadlineExceeded, TurnFailed, UnusableOptions
from shared.process.logs import add_context
from shared.wire.claim import Claim
from worker.engine.interface import EngineError, UnusableRequest
from worker.quarantine import Quarantine
from worker.reply_maker import ReplyMaker
from worker.running_turn import CancelReason, RunningTurn
from worker.turn_closer import TurnCloser
from worker.turn_metrics import TurnMetrics
from worker.turn_spans import TurnSpans

log = logging.getLogger(__name__)


class Replier:
    """Answers claimed turns: make a reply, commit it.

    Args:
        maker: makes replies.
        quarantine: decides when a turn may be evaluated.
        spans: hears of turns that have left this worker, if they are traced.
    """

    def __init__(
        self,
        maker: ReplyMaker,
        quarantine: Quarantine,
        closer: TurnCloser,
        metrics: TurnMetrics,
        spans: TurnSpans | None = None,
    ) -> None:
        self._maker = maker
        self._quarantine = quarantine
        self._closer = closer
        self._metrics = metrics
        self._spans = spans

    async def reply(self, turn: RunningTurn) -> None:
        """Run a turn until it is committed, failed or handed over, or belongs to another worker."""
        turn.task = asyncio.current_task()
        claim = turn.claim
        add_context(job=claim.job_id, conversation=claim.conversation_id, start=claim.starts)
        try:
            if turn.cancel_reason is None:
                self._metrics.started(claim)
                await self._run(turn)
        except asyncio.CancelledError:
            if turn.cancel_reason is None:
                raise
        turn.has_stopped = True
        if turn.cancel_reason is CancelReason.FENCED:
            turn.outcome = "fenced"
            if turn.tokens_used:
                await self._closer.settle(turn)
        elif turn.cancel_reason is CancelReason.DRAIN:
            await self._closer.hand_over(turn)
        if self._spans is not None:
            self._spans.ended(turn)

    async def _run(self, turn: RunningTurn) -> None:
        """Reply and commit within the turn's time; whatever goes wrong fails this turn alone."""
        try:
            async with asyncio.timeout(turn.claim.remaining_s):
                async with self._quarantine.admit(turn) as solo_run:
                    reply = await self._maker.make(turn, solo_run)
            if reply.is_void:
                await self._closer.give_up(turn)
                return
            await self._closer.commit(turn, reply)
            await self._maker.committed(turn.claim, reply)
        except Exception as error:
            await self._closer.fail(turn, _turn_failure(error, turn.claim))


def _turn_failure(error: Exception, claim: Claim) -> TurnFailed:
    """What a turn's client is told about an error."""
    match error:
        case TimeoutError():
            return DeadlineExceeded("the turn did not end within its time")
        case TurnFailed():
            return error
        case UnusableRequest():
            return UnusableOptions(str(error))
        case EngineError():
            return TurnFailed(f"the engine failed: {error}")
    log.error("job %s failed", claim.job_id, exc_info=error)
    return TurnFailed("the worker failed on this turn")
