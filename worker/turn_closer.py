"""How a turn leaves this worker: committed, failed, settled or handed over."""

import logging
from dataclasses import replace
from functools import partial
from typing import Any

from shared.errors import TurnFailed
from shared.process.logs import about
from shared.store.claims import Claims, Ended
from shared.wire.completion import Completion
from shared.wire.reply import TurnResult
from shared.wire.write_outcome import WriteOutcome
from worker.completion import FinishedReply
from worker.retry import retry
from worker.running_turn import RunningTurn
from worker.turn_metrics import TurnMetrics

log = logging.getLogger(__name__)


class TurnCloser:
    """Writes the end of a turn, counts it and logs it.

    Every write carries the turn's fence and is repeated while Redis is unavailable.
    """

    def __init__(self, claims: Claims, metrics: TurnMetrics) -> None:
        self._claims = claims
        self._metrics = metrics

    async def commit(self, turn: RunningTurn, reply: FinishedReply) -> None:
        """Add the reply to its conversation and complete the job."""
        claim, result = turn.claim, reply.result
        turn.is_closing, turn.result = True, result
        ended = await self._committed(turn, reply.completion)
        outcome, turn.more_wait = ended.outcome, ended.more
        self._metrics.ended(outcome, "completed")
        turn.outcome = _left_as("completed", outcome)
        if outcome in (WriteOutcome.OK, WriteOutcome.DUP) and claim.starts == 1:
            self._metrics.observe(reply.own_timings, reply.num_written)
        log.info("job %s completed: %s", claim.job_id, outcome, extra=_log_fields(result))
        if outcome in (WriteOutcome.FENCED, WriteOutcome.GONE):
            await self.settle(turn)

    async def _committed(self, turn: RunningTurn, completion: Completion) -> Ended:
        """Commit, again with what Redis has lost of the reply if a replica took over without it."""
        while True:
            ended = await retry("commit", partial(self._claims.commit, turn.claim, completion))
            if ended.outcome is not WriteOutcome.BEHIND or turn.outbox is None:
                return ended
            if not await turn.outbox.publish_lost(ended.progress):
                return replace(ended, outcome=WriteOutcome.FENCED)

    async def fail(self, turn: RunningTurn, error: TurnFailed) -> None:
        """End the job with an error; its conversation stays as it was."""
        claim = turn.claim
        turn.is_closing = True
        ended = await retry("fail", lambda: self._claims.fail(claim, error, turn.tokens_used))
        outcome, turn.more_wait = ended.outcome, ended.more
        turn.outcome = _left_as(error.code, outcome)
        if outcome is not WriteOutcome.OK:
            await self.settle(turn)
        self._metrics.ended(outcome, error.code)
        log.info("job %s failed (%s): %s", claim.job_id, error.code, outcome)

    async def give_up(self, turn: RunningTurn) -> None:
        """End the job as cancelled: it was stopped before anything was written."""
        claim = turn.claim
        turn.is_closing = True
        ended = await retry("give up", lambda: self._claims.give_up(claim, turn.tokens_used))
        outcome, turn.more_wait = ended.outcome, ended.more
        turn.outcome = _left_as("cancelled", outcome)
        if outcome is not WriteOutcome.OK:
            await self.settle(turn)
        log.info("job %s was stopped before its reply began: %s", claim.job_id, outcome)

    async def settle(self, turn: RunningTurn) -> None:
        """Charge the owner for a turn that ended elsewhere, where its cost was unknown."""
        await retry("settle", lambda: self._claims.settle(turn.claim, turn.tokens_used))

    async def hand_over(self, turn: RunningTurn) -> None:
        """Give the turn back to the queue; refused if it has ended after all."""
        outcome = await retry("hand over", lambda: self._claims.hand_over(turn.claim))
        turn.outcome = _left_as("handed_over", outcome)
        if outcome is WriteOutcome.OK:
            self._metrics.handed_over()
            log.info("job %s was handed over", turn.claim.job_id)


def _left_as(kind: str, outcome: WriteOutcome) -> str:
    """What became of a turn whose end was written with this outcome."""
    return kind if outcome in (WriteOutcome.OK, WriteOutcome.DUP) else outcome.lower()


def _log_fields(result: TurnResult) -> dict[str, dict[str, Any]]:
    return about(
        prompt_tokens=result.usage.prompt_tokens,
        cached_tokens=result.usage.prompt_tokens_details.cached_tokens,
        completion_tokens=result.usage.completion_tokens,
        queued_ms=result.timings.queued_ms,
        prompt_ms=result.timings.prompt_ms,
        generation_ms=result.timings.generation_ms,
    )
