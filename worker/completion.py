"""From a generated reply to what is committed: messages, result and the next turn's window."""

import time
from dataclasses import dataclass

import orjson

from shared.wire.claim import Claim
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
from worker.engine.interface import Engine
from worker.generation import GeneratedReply
from worker.prompt.next_window import NextWindow, next_window
from worker.prompt.prompt import Prompt
from worker.prompt.window import Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedReply:
    """A reply that is ready to be committed; `next_window` if it was trimmed for the next turn."""

    completion: Completion
    result: TurnResult
    next_window: NextWindow | None


def finish_reply(
    engine: Engine, claim: Claim, prompt: Prompt, generated: GeneratedReply, budget: Budget
) -> FinishedReply:
    """Put together everything that a commit writes."""
    reply = generated.reply
    token_ids = _ids_to_keep(engine, reply)
    window = None
    if claim.request.truncate and not claim.request.messages:
        content = token_ids or tuple(engine.tokenize(reply.text))
        window = next_window(engine, prompt, content, budget)
    now_ms = time.time_ns() // 1_000_000
    result = _result(claim, prompt, generated, budget.window, now_ms)
    encoded = orjson.dumps(result)
    completion = Completion(
        user=_user_message(claim, prompt),
        assistant=StoredMessage(
            number=prompt.number + 1,
            role="assistant",
            content=reply.text,
            timestamp_ms=now_ms,
            tokens=len(reply.token_ids),
            job_id=claim.job_id,
            token_ids=token_ids,
            fingerprint=engine.model.fingerprint,
        ),
        offset=prompt.offset if window is None else window.offset,
        tokens=result.numberOfTokens,
        window=orjson.dumps(result.window),
        result=encoded,
        reply=reply_object(claim.job_id, claim.conversation_id, claim.request, encoded),
        piece=generated.unpublished,
        earlier=prompt.brought_along,
        context=prompt.context,
    )
    return FinishedReply(completion=completion, result=result, next_window=window)


def _user_message(claim: Claim, prompt: Prompt) -> StoredMessage:
    return StoredMessage(
        number=prompt.number,
        role="user",
        content=claim.request.prompt,
        timestamp_ms=claim.created_ms,
        tokens=len(prompt.user.token_ids),
        job_id=claim.job_id,
    )


def _result(
    claim: Claim, prompt: Prompt, generated: GeneratedReply, window: int, now_ms: int
) -> TurnResult:
    end = generated.end
    prompt_tokens, reply_tokens = len(prompt.token_ids), len(generated.reply.token_ids)
    total = prompt_tokens + reply_tokens
    return TurnResult(
        reply=generated.reply.text,
        timestamp=rfc3339(now_ms),
        numberOfTokens=total,
        finish_reason=end.reason,
        usage=Usage(
            prompt_tokens=prompt_tokens,
            completion_tokens=reply_tokens,
            total_tokens=total,
            prompt_tokens_details=PromptTokensDetails(cached_tokens=end.cached_tokens),
        ),
        window=_window_receipt(claim, prompt, window, total),
        timings=Timings(
            queued_ms=float(claim.started_ms - claim.created_ms),
            prompt_ms=round(end.prompt_ms, 1),
            generation_ms=round(end.generation_ms, 1),
        ),
    )


def _window_receipt(claim: Claim, prompt: Prompt, window: int, used: int) -> WindowReceipt:
    receipt: WindowReceipt = {
        "budget": window,
        "used": used,
        "turns_kept": prompt.turns_kept,
        "turns_dropped": prompt.turns_dropped,
    }
    room = window - len(prompt.token_ids)
    if (claim.request.sampling.max_tokens or 0) > room:
        receipt["max_tokens"] = room
    return receipt


def _ids_to_keep(engine: Engine, reply: PieceRecord) -> tuple[int, ...] | None:
    """The reply's ids, if tokenizing its text gives others and they decode to exactly that text."""
    again = tuple(engine.tokenize(reply.text))
    if again == reply.token_ids or engine.detokenize(reply.token_ids) != reply.text:
        return None
    return reply.token_ids
