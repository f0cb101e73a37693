"""The job: a claimed turn from its prompt to its committed reply."""

import asyncio
import logging

from shared.errors import DeadlineExceeded, TurnFailed, UnusableOptions
from shared.process.logs import add_context
from shared.wire.claim import Claim, History
from shared.wire.turn_request import TurnRequest
from worker.completion import FinishedReply, finish_reply, is_quickly_finished
from worker.engine.interface import EngineError, UnusableRequest
from worker.generation import Generator
from worker.prompt.build import prepare_prompt
from worker.prompt.window import WindowPolicy
from worker.prompt.writer import PromptWriter
from worker.quarantine import Quarantine, SoloRun
from worker.running_turn import CancelReason, RunningTurn
from worker.turn_closer import TurnCloser
from worker.turn_metrics import TurnMetrics

log = logging.getLogger(__name__)


class Replier:
    """Answers claimed turns: prompt, generate, commit.

    Args:
        quarantine: decides when a turn may be evaluated.
        policy: how a window is shared between prompt and reply.
    """

    def __init__(
        self,
        writer: PromptWriter,
        generator: Generator,
        quarantine: Quarantine,
        closer: TurnCloser,
        metrics: TurnMetrics,
        policy: WindowPolicy,
    ) -> None:
        self._writer = writer
        self._generator = generator
        self._quarantine = quarantine
        self._closer = closer
        self._metrics = metrics
        self._policy = policy

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
        if turn.cancel_reason is CancelReason.FENCED and turn.tokens_used:
            await self._closer.settle(turn)
        elif turn.cancel_reason is CancelReason.DRAIN:
            await self._closer.hand_over(turn)

    async def _run(self, turn: RunningTurn) -> None:
        """Generate and commit within the turn's time; whatever goes wrong fails this turn alone."""
        try:
            async with asyncio.timeout(turn.claim.remaining_s):
                async with self._quarantine.admit(turn) as solo_run:
                    reply = await self._generate(turn, solo_run)
            await self._closer.commit(turn, reply)
            if reply.next_window is not None:
                self._writer.engine.warm(turn.claim.conversation_id, reply.next_window.token_ids)
        except Exception as error:
            await self._closer.fail(turn, _turn_failure(error, turn.claim))

    async def _generate(self, turn: RunningTurn, solo_run: SoloRun | None) -> FinishedReply:
        """From the claimed conversation to a reply that is ready to be committed.

        Raises:
            TurnFailed, EngineError: there is no reply.
        """
        claim = turn.claim
        history = _readable_history(claim)
        if claim.request.to_embed:
            raise UnusableOptions("this model makes no embeddings")
        request, thinking = claim.request, self._policy.thinking
        budget = self._policy.budget(
            request.sampling.max_tokens,
            thinks=self._thinks(request),
            longest_thought=request.longest_thought,
        )
        prompt = await prepare_prompt(self._writer, claim, history, budget, thinking)
        generated = await self._generator.generate(turn, prompt, budget, solo_run)
        if is_quickly_finished(prompt, generated, budget):
            return finish_reply(self._writer, claim, prompt, generated, budget)
        return await asyncio.to_thread(finish_reply, self._writer, claim, prompt, generated, budget)

    def _thinks(self, request: TurnRequest) -> bool:
        wanted = request.thinking if request.thinking != "auto" else self._policy.thinking
        return self._policy.longest_thought > 0 and wanted != "off" and not request.is_plain


def _readable_history(claim: Claim) -> History:
    if claim.unreadable is not None:
        log.error("job %s cannot be read: %s", claim.job_id, claim.unreadable)
        raise TurnFailed("this worker cannot read the turn: another version stored it")
    if claim.history is None:
        raise TurnFailed("the conversation was deleted")
    return claim.history


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
