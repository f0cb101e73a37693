"""A turn that continues the last reply: from what is stored, the turn that has that reply.

Its prompt is that of the turn before, its reply begins with what stands of it.
"""

import contextlib
from dataclasses import dataclass, replace

import orjson

from shared.wire.history import History
from shared.wire.messages import StoredMessage
from shared.wire.reply import Timings
from shared.wire.sampling import Sampling
from shared.wire.turn_request import TurnRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingReply:
    """A reply that a turn continues.

    Args:
        prompt_job_id: the job of its prompt.
        timings: of what stands, as far as it is known.
    """

    message: StoredMessage
    prompt_job_id: str
    timings: Timings


def continued_turn(
    request: TurnRequest, history: History, stored_request: str = "", stored_result: str = ""
) -> tuple[TurnRequest, History, StandingReply | None]:
    """What to generate: a request with its prompt, the history before that, and what stands.

    Args:
        history: up to the reply.
        stored_request: of the job that the prompt belongs to; empty if that is not kept.
        stored_result: of the job that the reply belongs to; empty if that is not kept.

    Returns:
        The request and the history as they are, and None, if the last message is not a reply that
        was cut.
    """
    turn = history.messages[-2:]
    if len(turn) < 2 or not _can_be_prompt(turn[0]) or not turn[1].can_continue:
        return request, history, None
    prompt, reply = turn
    standing = StandingReply(
        message=reply, prompt_job_id=prompt.job_id, timings=_timings_in(stored_result)
    )
    request = replace(
        _as_before(request, stored_request), prompt=prompt.content, call_id=prompt.call_id
    )
    history = replace(
        history,
        messages=history.messages[:-2],
        next_number=prompt.number,
        turns=history.turns - 1,
    )
    return request, history, standing


def _can_be_prompt(message: StoredMessage) -> bool:
    return message.role == "user" or (message.role == "tool" and bool(message.call_id))


def _as_before(request: TurnRequest, stored: str) -> TurnRequest:
    """The request, with what shaped the prompt and the form of the reply that it continues.

    Options of sampling are its own, as with every request.
    """
    first = TurnRequest(prompt="", context=None, replace_from=None, sampling=Sampling())
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
        first = TurnRequest.decode(stored)
    if request.thinking == "auto":
        request = replace(request, thinking=first.thinking, longest_thought=first.longest_thought)
    if request.recall == "own":
        request = replace(request, recall=first.recall)
    return replace(
        request,
        instructions=first.instructions,
        truncate=first.truncate,
        tool_use=first.tool_use,
        json_schema=first.json_schema,
        template_options=first.template_options,
    )


def _timings_in(result: str) -> Timings:
    with contextlib.suppress(ValueError, TypeError, KeyError):
        timings = orjson.loads(result)["timings"]
        return Timings(
            queued_ms=float(timings["queued_ms"]),
            prompt_ms=float(timings["prompt_ms"]),
            generation_ms=float(timings["generation_ms"]),
        )
    return Timings(queued_ms=0.0, prompt_ms=0.0, generation_ms=0.0)
