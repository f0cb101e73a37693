"""The job: a claimed turn from its conversation to its committed reply."""

import asyncio
import logging
import time
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import orjson

from shared.errors import DeadlineExceeded, TurnFailed, UnusableOptions
from shared.process.logs import about, add_context
from shared.store.claims import Claims
from shared.wire.claim import Claim, History
from shared.wire.completion import Completion
from shared.wire.messages import StoredMessage
from shared.wire.publication import PieceRecord
from shared.wire.reply import (
    PromptTokensDetails,
    Timings,
    TurnResult,
    Usage,
    WindowReceipt,
    reply_object,
)
from shared.wire.timestamps import rfc3339
from shared.wire.turn_request import TurnRequest
from shared.wire.write_outcome import WriteOutcome
from worker.engine.interface import (
    End,
    Engine,
    EngineError,
    GenerationRequest,
    SamplingOptions,
    UnusableRequest,
)
from worker.held import GivenUp, Held
from worker.prompt.build import Ahead, Prompt, build_prompt, build_stateless_prompt, look_ahead
from worker.prompt.window import Budget
from worker.publisher import Outbox, Publisher
from worker.quarantine import MARGIN, Quarantine, Trial
from worker.retry import retry
from worker.turn_metrics import TurnMetrics

log = logging.getLogger(__name__)

_LONG_PROMPT: Final = 20_000
"""Characters from which on a prompt is tokenized beside the event loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A reply, ready to be committed; the next turn's window, if it was trimmed for it."""

    completion: Completion
    result: TurnResult
    ahead: Ahead | None


class Replier:
    """Answers claimed turns.

    Args:
        turns: bound to this worker's connection.
        engine: generates.
        publisher: sends pieces on their way.
        quarantine: says when a turn may be evaluated.
        metrics: counts what becomes of turns.
        window: tokens of prompt and reply together.
        trim_to: share of the window that trimming aims at.
        max_tokens: a reply's length when the request does not say.
    """

    def __init__(
        self,
        turns: Claims,
        engine: Engine,
        publisher: Publisher,
        quarantine: Quarantine,
        metrics: TurnMetrics,
        *,
        window: int,
        trim_to: float,
        max_tokens: int,
    ) -> None:
        self._turns = turns
        self._engine = engine
        self._publisher = publisher
        self._quarantine = quarantine
        self._metrics = metrics
        self._window = window
        self._trim_to = trim_to
        self._max_tokens = max_tokens

    async def reply(self, held: Held) -> None:
        """Bring a turn to an end: committed, failed, or handed over."""
        held.task = asyncio.current_task()
        claim = held.claim
        add_context(job=claim.job_id, conversation=claim.conversation_id, start=claim.starts)
        try:
            if held.given_up is None:
                self._metrics.started(held.claim)
                await self._end(held)
        except asyncio.CancelledError:
            if held.given_up is None:
                raise
        held.has_let_go = True
        if held.given_up is GivenUp.FENCED and held.spent:
            await self._settle(held)
        if held.given_up is GivenUp.DRAIN:
            # If it has ended all the same, this is refused.
            outcome = await retry("hand over", lambda: self._turns.hand_over(held.claim))
            if outcome is WriteOutcome.OK:
                self._metrics.handed_over()
                log.info("job %s is handed over", claim.job_id)

    async def _end(self, held: Held) -> None:
        claim = held.claim
        try:
            async with asyncio.timeout(claim.remaining_s):
                async with self._quarantine.admit(held) as trial:
                    done = await self._complete(held, trial)
            await self._commit(held, done)
            if done.ahead is not None:
                self._engine.warm(claim.conversation_id, done.ahead.token_ids)
        except TimeoutError:
            await self._fail(held, DeadlineExceeded("the turn did not end within its time"))
        except TurnFailed as error:
            await self._fail(held, error)
        except UnusableRequest as error:
            await self._fail(held, UnusableOptions(str(error)))
        except EngineError as error:
            await self._fail(held, TurnFailed(f"the engine failed: {error}"))
        except Exception:
            log.exception("job %s failed", claim.job_id)
            await self._fail(held, TurnFailed("the worker failed on this turn"))

    async def _commit(self, held: Held, done: Done) -> None:
        claim = held.claim
        outcome = await retry("commit", lambda: self._turns.commit(claim, done.completion))
        self._metrics.ended(outcome, "completed")
        if outcome in (WriteOutcome.OK, WriteOutcome.DUP) and claim.starts == 1:
            self._metrics.took(done.result.timings, done.result.usage.completion_tokens)
        log.info("job %s completed: %s", claim.job_id, outcome, extra=_figures(done.result))
        if outcome in (WriteOutcome.FENCED, WriteOutcome.GONE):
            await self._settle(held)

    async def _fail(self, held: Held, error: TurnFailed) -> None:
        claim = held.claim
        outcome = await retry("fail", lambda: self._turns.fail(claim, error, held.spent))
        if outcome is not WriteOutcome.OK:
            await self._settle(held)
        self._metrics.ended(outcome, error.code)
        log.info("job %s failed (%s): %s", claim.job_id, error.code, outcome)

    async def _settle(self, held: Held) -> None:
        """Somebody else has ended the turn, without knowing what it cost."""
        await retry("settle", lambda: self._turns.settle(held.claim, held.spent))

    async def _complete(self, held: Held, trial: Trial | None) -> Done:
        """Generate the reply.

        Raises:
            TurnFailed, EngineError: there is none.
        """
        claim = held.claim
        if claim.unreadable is not None:
            log.error("job %s cannot be read: %s", claim.job_id, claim.unreadable)
            raise TurnFailed("this worker cannot read the turn: another version has stored it")
        history = claim.history
        if history is None:
            raise TurnFailed("the conversation was deleted")
        emitted, num_logged = await self._emitted(claim)
        max_tokens = claim.request.sampling.max_tokens or self._max_tokens
        budget = Budget(window=self._window, max_tokens=max_tokens, trim_to=self._trim_to)
        prompt = await self._prompt(claim, history, budget)
        request = GenerationRequest(
            session=claim.conversation_id,
            prompt=prompt.token_ids,
            emitted=emitted.token_ids,
            max_tokens=budget.reply_limit(len(prompt.token_ids)),
            stop=claim.request.sampling.stop,
            sampling=sampling_options(claim.request),
            alone_until=len(emitted.token_ids) + MARGIN if trial is not None else 0,
            meter=held.meter,
        )
        held.generated = len(emitted.token_ids)
        outbox = self._publisher.open(
            claim,
            num_logged,
            held.meter,
            len(prompt.token_ids),
            lambda: held.give_up(GivenUp.FENCED),
        )
        reply, rest, end = await self._generate(held, request, emitted, outbox, trial)
        ahead = None
        if claim.request.truncate and not claim.request.messages:
            ahead = look_ahead(self._engine, prompt, self._content(reply), budget)
        now_ms = time.time_ns() // 1_000_000
        result = self._result(claim, prompt, reply, end, now_ms)
        completion = self._completion(claim, prompt, reply, rest, result, ahead, now_ms)
        return Done(completion=completion, result=result, ahead=ahead)

    async def _prompt(self, claim: Claim, history: History, budget: Budget) -> Prompt:
        texts = (history.context, claim.request.context or "", claim.request.prompt)
        length = sum(map(len, texts))
        length += sum(len(message.content) for message in history.messages)
        brought_along = (*claim.request.messages, *claim.request.earlier)
        length += sum(len(message.content) for message in brought_along)

        def build() -> Prompt:
            if claim.request.messages:
                return build_stateless_prompt(self._engine, claim.request, budget)
            return build_prompt(self._engine, claim, history, budget)

        return build() if length < _LONG_PROMPT else await asyncio.to_thread(build)

    async def _emitted(self, claim: Claim) -> tuple[PieceRecord, int]:
        """What earlier starts emitted, in ids of our model, and how many ids they emitted."""
        if claim.starts == 1:
            return PieceRecord(text="", token_ids=()), 0
        emitted = await retry("emitted", lambda: self._turns.published(claim))
        piece, num_logged = emitted.piece, len(emitted.piece.token_ids)
        if not emitted.models <= {self._engine.model.fingerprint}:
            piece = PieceRecord(text=piece.text, token_ids=tuple(self._engine.tokenize(piece.text)))
        return piece, num_logged

    async def _generate(
        self,
        held: Held,
        request: GenerationRequest,
        emitted: PieceRecord,
        outbox: Outbox,
        trial: Trial | None,
    ) -> tuple[PieceRecord, PieceRecord | None, End]:
        """Returns the whole reply, the end of it that was not emitted, and how it ended."""
        texts, token_ids, end = [emitted.text], list(emitted.token_ids), None
        held.generating = True
        try:
            async with aclosing(self._engine.generate(request)) as pieces:
                async for piece in pieces:
                    texts.append(piece.text)
                    token_ids += piece.token_ids
                    held.generated = len(token_ids)
                    end = piece.end
                    if piece.text or piece.token_ids:
                        outbox.add(piece)
                    if trial is not None:
                        await trial.advance(len(token_ids) - len(emitted.token_ids))
            held.generating = False
            rest = await outbox.close()
        finally:
            held.generating = False
            outbox.cancel()
        if end is None:
            raise EngineError("the reply has no end")
        return PieceRecord(text="".join(texts), token_ids=tuple(token_ids)), rest, end

    def _completion(
        self,
        claim: Claim,
        prompt: Prompt,
        reply: PieceRecord,
        rest: PieceRecord | None,
        result: TurnResult,
        ahead: Ahead | None,
        now_ms: int,
    ) -> Completion:
        number, user_tokens = prompt.number, len(prompt.user.token_ids)
        encoded = orjson.dumps(result)
        user = StoredMessage(
            number=number,
            role="user",
            content=claim.request.prompt,
            timestamp_ms=claim.created_ms,
            tokens=user_tokens,
            job_id=claim.job_id,
        )
        assistant = StoredMessage(
            number=number + 1,
            role="assistant",
            content=reply.text,
            timestamp_ms=now_ms,
            tokens=len(reply.token_ids),
            job_id=claim.job_id,
            token_ids=self._ids_to_keep(reply),
            fingerprint=self._engine.model.fingerprint,
        )
        return Completion(
            user=user,
            assistant=assistant,
            offset=prompt.offset if ahead is None else ahead.offset,
            tokens=result.numberOfTokens,
            window=orjson.dumps(result.window),
            result=encoded,
            reply=reply_object(claim.job_id, claim.conversation_id, claim.request, encoded),
            piece=rest,
            earlier=prompt.brought_along,
            context=prompt.context,
        )

    def _result(
        self, claim: Claim, prompt: Prompt, reply: PieceRecord, end: End, now_ms: int
    ) -> TurnResult:
        prompt_tokens, reply_tokens = len(prompt.token_ids), len(reply.token_ids)
        total = prompt_tokens + reply_tokens
        return TurnResult(
            reply=reply.text,
            timestamp=rfc3339(now_ms),
            numberOfTokens=total,
            finish_reason=end.reason,
            usage=Usage(
                prompt_tokens=prompt_tokens,
                completion_tokens=reply_tokens,
                total_tokens=total,
                prompt_tokens_details=PromptTokensDetails(cached_tokens=end.cached_tokens),
            ),
            window=self._receipt(claim, prompt, total),
            timings=Timings(
                queued_ms=float(claim.started_ms - claim.created_ms),
                prompt_ms=round(end.prompt_ms, 1),
                generation_ms=round(end.generation_ms, 1),
            ),
        )

    def _receipt(self, claim: Claim, prompt: Prompt, used: int) -> WindowReceipt:
        receipt: WindowReceipt = {
            "budget": self._window,
            "used": used,
            "turns_kept": prompt.turns_kept,
            "turns_dropped": prompt.turns_dropped,
        }
        room = self._window - len(prompt.token_ids)
        if (claim.request.sampling.max_tokens or 0) > room:
            receipt["max_tokens"] = room
        return receipt

    def _content(self, reply: PieceRecord) -> tuple[int, ...]:
        """The reply as the next turn will see it."""
        return self._ids_to_keep(reply) or tuple(self._engine.tokenize(reply.text))

    def _ids_to_keep(self, reply: PieceRecord) -> tuple[int, ...] | None:
        """The reply's ids, if its text alone would give others and they are exactly its text."""
        again = tuple(self._engine.tokenize(reply.text))
        if again == reply.token_ids or self._engine.detokenize(reply.token_ids) != reply.text:
            return None
        return reply.token_ids


def sampling_options(request: TurnRequest) -> SamplingOptions:
    """The engine's options: its defaults, and what the request said."""
    said: dict[str, Any] = request.sampling.model_dump(
        exclude_none=True, exclude={"max_tokens", "stop"}
    )
    return SamplingOptions(**said, json_schema=request.json_schema, logit_bias=request.logit_bias)


def _figures(result: TurnResult) -> dict[str, dict[str, Any]]:
    """What a reply took, for its line in the log."""
    return about(
        prompt_tokens=result.usage.prompt_tokens,
        cached_tokens=result.usage.prompt_tokens_details.cached_tokens,
        completion_tokens=result.usage.completion_tokens,
        queued_ms=result.timings.queued_ms,
        prompt_ms=result.timings.prompt_ms,
        generation_ms=result.timings.generation_ms,
    )
