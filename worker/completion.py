"""From a generated reply to what is committed: messages, result and the next turn's window."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from shared.placement import saving_ms
from shared.wire.claim import Claim
from shared.wire.completion import Completion
from shared.wire.messages import ChatMessage, StoredMessage
from shared.wire.parts import order_of
from shared.wire.prefix_digest import digest_behind
from shared.wire.reply import (
    CompletionTokensDetails,
    FinishReason,
    MemoryReceipt,
    PromptTokensDetails,
    Timings,
    TurnResult,
    Usage,
    WindowReceipt,
    reply_object,
)
from shared.wire.timestamps import rfc3339
from worker.content_ids import ids_to_keep
from worker.engine.interface import End
from worker.generation import GeneratedReply
from worker.prompt.message import PromptMessage
from worker.prompt.next_window import Ahead, NextWindow, is_foreseen
from worker.prompt.passage import Quote
from worker.prompt.prompt import Prompt
from worker.prompt.window import Budget
from worker.prompt.writer import PromptWriter

_SHORT: Final = 256
"""Tokens of a reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedReply:
    """A reply that is ready to be committed.

    Args:
        own_timings: of this turn alone, also if it continued a reply.
        num_written: tokens that this turn added to the reply.
        next_window: if the next turn's does not go on behind what was evaluated.
        ahead: tells it for other summaries; None if it cannot be told.
    """

    completion: Completion
    result: TurnResult
    own_timings: Timings
    num_written: int
    next_window: NextWindow | None
    ahead: Ahead | None = None

    @property
    def is_void(self) -> bool:
        """Whether it was stopped before anything was written."""
        return self.result.finish_reason == "stopped" and not self.result.usage.completion_tokens


def finish_reply(
    writer: PromptWriter, claim: Claim, prompt: Prompt, generated: GeneratedReply, budget: Budget
) -> FinishedReply:
    """Put together everything that a commit writes."""
    now_ms = time.time_ns() // 1_000_000
    reply = _stored_reply(writer, claim, prompt, generated, now_ms)
    ahead, window = None, None
    if _has_next_window(claim, generated):
        shown = PromptMessage.of_reply(
            reply.message, token_ids=reply.token_ids, written_ids=reply.written_ids
        )
        ahead = Ahead(
            writer=writer, prompt=prompt, reply=shown, num_tokens=reply.tokens, budget=budget
        )
        window = ahead.window()
    result = _result(writer.engine.model.name, claim, prompt, generated, budget.window, now_ms)
    encoded = result.encode()
    offset = prompt.offset if window is None else window.offset
    completion = Completion(
        user=_user_message(writer, claim, prompt),
        continues=claim.standing is not None,
        assistant=reply,
        offset=offset,
        tokens=result.numberOfTokens,
        prompt_tokens=result.usage.prompt_tokens,
        cached_tokens=generated.end.cached_tokens,
        saves_ms=saving_ms(
            warm=result.numberOfTokens if window is None else len(window.token_ids),
            tokens_a_second=writer.engine.prompt_speed,
        ),
        prefix=_prefix(claim, reply.message),
        window=orjson.dumps(result.window),
        result=encoded,
        reply=reply_object(claim.job_id, claim.conversation_id, claim.request, encoded),
        pieces=generated.unpublished,
        at=generated.at,
        earlier=prompt.brought_along,
        context=prompt.context,
        folds=budget.summary > 0 and offset > _summarised_below(claim),
    )
    return FinishedReply(
        completion=completion,
        result=result,
        own_timings=_own_timings(claim, generated.end),
        num_written=len(generated.token_ids) - generated.num_standing,
        next_window=window,
        ahead=ahead,
    )


def _summarised_below(claim: Claim) -> int:
    """The number below which messages have been summarised."""
    summary = claim.history.summary if claim.history is not None else None
    return 1 if summary is None else summary.number


def is_quickly_finished(prompt: Prompt, generated: GeneratedReply, budget: Budget) -> bool:
    """Whether `finish_reply` takes about a millisecond: no long reply, no window to lay out."""
    num_tokens = len(generated.token_ids)
    return num_tokens <= _SHORT and is_foreseen(prompt, num_tokens, budget)


def _has_next_window(claim: Claim, generated: GeneratedReply) -> bool:
    """Whether the next turn's window can be foreseen; behind calls come their results."""
    request = claim.request
    return request.truncate and not (
        request.messages or request.is_plain or request.counts_only or generated.tool_calls
    )


def _prefix(claim: Claim, reply: ChatMessage) -> str:
    """What a client that keeps the conversation itself begins its next request with."""
    is_whole = claim.history is not None and claim.history.next_number == 1
    return digest_behind(claim.owner_id, claim.request, reply) if is_whole else ""


def _stored_reply(
    writer: PromptWriter, claim: Claim, prompt: Prompt, generated: GeneratedReply, now_ms: int
) -> StoredMessage:
    return StoredMessage(
        number=prompt.number + 1,
        role="assistant",
        content=generated.text,
        timestamp_ms=now_ms,
        tokens=len(generated.token_ids),
        job_id=claim.job_id,
        token_ids=ids_to_keep(writer.engine, generated.token_ids, generated.text),
        written_ids=_written_ids(writer, generated),
        fingerprint=writer.fingerprint,
        reasoning=generated.reasoning,
        tool_calls=generated.tool_calls,
        finish_reason=_finish_reason(generated),
        model_name=writer.engine.model.name,
        is_pinned=claim.standing is not None and claim.standing.message.is_pinned,
        names_job=claim.standing is not None,
    )


def _user_message(writer: PromptWriter, claim: Claim, prompt: Prompt) -> StoredMessage:
    return StoredMessage(
        number=prompt.number,
        role=prompt.new.role if claim.request.call_id else "user",
        content=claim.request.prompt,
        timestamp_ms=claim.created_ms,
        tokens=len(writer.tokenize(claim.request.prompt)),
        job_id=claim.job_id if claim.standing is None else claim.standing.prompt_job_id,
        call_id=claim.request.call_id,
        name=prompt.new.message.name,
    )


def _result(
    model_name: str,
    claim: Claim,
    prompt: Prompt,
    generated: GeneratedReply,
    window: int,
    now_ms: int,
) -> TurnResult:
    end = generated.end
    prompt_tokens, reply_tokens = len(prompt.token_ids), len(generated.token_ids)
    total = prompt_tokens + reply_tokens
    return TurnResult(
        reply=generated.text,
        timestamp=rfc3339(now_ms),
        numberOfTokens=total,
        finish_reason=_finish_reason(generated),
        usage=Usage(
            prompt_tokens=prompt_tokens,
            completion_tokens=reply_tokens,
            total_tokens=total,
            prompt_tokens_details=PromptTokensDetails(cached_tokens=end.cached_tokens),
            completion_tokens_details=CompletionTokensDetails(reasoning_tokens=end.reasoning_tokens)
            if end.reasoning_tokens
            else None,
        ),
        window=_window_receipt(claim, prompt, window, total, generated.num_standing),
        timings=_timings(claim, end),
        prompt=None if claim.standing is None else claim.request.prompt,
        model=model_name,
        memory=_memory_receipt(prompt),
        reasoning=generated.reasoning or None,
        tool_calls=generated.tool_calls or None,
        order=order_of((piece.kind, piece.text) for piece in generated.pieces),
        logprobs=generated.logprobs or None,
        stop_string=end.stop_string,
    )


def _own_timings(claim: Claim, end: End) -> Timings:
    return Timings(
        queued_ms=float(claim.started_ms - claim.created_ms),
        prompt_ms=round(end.prompt_ms, 1),
        generation_ms=round(end.generation_ms, 1),
    )


def _timings(claim: Claim, end: End) -> Timings:
    """Of the whole reply."""
    own = _own_timings(claim, end)
    if claim.standing is None:
        return own
    before = claim.standing.timings
    return Timings(
        queued_ms=before.queued_ms + own.queued_ms,
        prompt_ms=round(before.prompt_ms + own.prompt_ms, 1),
        generation_ms=round(before.generation_ms + own.generation_ms, 1),
    )


def _finish_reason(generated: GeneratedReply) -> FinishReason:
    reason = generated.end.reason
    return "tool_calls" if generated.tool_calls and reason != "stopped" else reason


def _window_receipt(
    claim: Claim, prompt: Prompt, window: int, used: int, num_standing: int
) -> WindowReceipt:
    receipt: WindowReceipt = {
        "budget": window,
        "used": used,
        "turns_kept": prompt.turns_kept,
        "turns_dropped": prompt.turns_dropped,
    }
    room = window - len(prompt.token_ids) - num_standing
    if (claim.request.sampling.max_tokens or 0) > room:
        receipt["max_tokens"] = room
    return receipt


def _memory_receipt(prompt: Prompt) -> MemoryReceipt | None:
    receipt: MemoryReceipt = {}
    if prompt.summary is not None:
        receipt["summarised_turns"] = prompt.summary.turns
    if own := _numbers(prompt.quotes, ""):
        receipt["recalled"] = own
    others = dict.fromkeys(quote.conversation_id for quote in prompt.quotes)
    others.pop("", None)
    if others:
        receipt["recalled_elsewhere"] = [
            {"conversation": int(other), "messages": _numbers(prompt.quotes, other)}
            for other in others
        ]
    if prompt.pinned:
        receipt["pinned"] = [number for turn in prompt.pinned for number in turn.pins]
    return receipt or None


def _numbers(quotes: Sequence[Quote], conversation_id: str) -> list[int]:
    return sorted({quote.number for quote in quotes if quote.conversation_id == conversation_id})


def _written_ids(writer: PromptWriter, reply: GeneratedReply) -> tuple[int, ...] | None:
    """All ids, if a later prompt may show all of the reply, or a later turn may continue it.

    A prompt shows a call, and a thought that is kept. What is continued is read again, if it is not
    all text.
    """
    keeps_thoughts = writer.template.traits.shows_thoughts == "always"
    may_continue = reply.end.reason in ("length", "stopped") and not reply.tool_calls
    is_shown = bool(reply.tool_calls) or (keeps_thoughts and bool(reply.reasoning))
    return reply.token_ids if is_shown or (may_continue and not reply.is_plain) else None
