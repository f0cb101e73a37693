"""OpenAI's objects from ours: responses, and the items of conversations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import orjson

from api.openai.echo import DEFAULT_ECHO
from api.openai.errors import message_of
from api.openai.ids import CONVERSATION, RESPONSE
from api.openai.output_items import Item, ItemShape, OutputPart, items_of, parts_of
from api.openai.response_requests import ENCRYPTED
from shared.store.jobs import JobState
from shared.wire.messages import ChatMessage, StoredMessage
from shared.wire.sampling import Sampling, default_of
from shared.wire.turn_request import TurnRequest

_PLACES: Final = {"user": "u", "tool": "u", "assistant": "a"}
"""Of a turn's own messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseEnd:
    """How a response ended.

    Args:
        parts: of the reply, as far as it was written.
        item_status: the status of the last one's item.
        usage: as OpenAI counts it.
        window: which turns the model saw.
        error: why there is no reply.
        completed_at: seconds since the epoch.
    """

    parts: tuple[OutputPart, ...] = ()
    item_status: str = "completed"
    usage: dict[str, Any] | None = None
    window: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    completed_at: int | None = None


def end_with_reply(
    reply: Mapping[str, Any], finished_ms: int, parts: Sequence[OutputPart] = ()
) -> tuple[str, ResponseEnd]:
    """The status and the end of a response that completed.

    Args:
        parts: of the reply in the order in which they were written, if that is known.
    """
    status = "incomplete" if reply["finish_reason"] == "length" else "completed"
    end = ResponseEnd(
        parts=tuple(parts) or parts_of(reply),
        item_status=status,
        usage=_usage(reply["usage"]),
        window=reply["window"],
        completed_at=finished_ms // 1000,
    )
    return status, end


def end_without_reply(
    error: Mapping[str, Any] | None,
    parts: Sequence[OutputPart],
    usage: dict[str, Any] | None,
) -> ResponseEnd:
    """The end of a response that failed or was cancelled.

    Args:
        error: why it failed; None if it was cancelled.
        parts: what was written until then.
        usage: what that took, if it is known.
    """
    return ResponseEnd(
        parts=tuple(parts),
        item_status="incomplete",
        usage=usage,
        error=_error(error) if error else None,
    )


def usage_so_far(state: JobState | None) -> dict[str, Any] | None:
    """The usage of a turn without a reply; None if nothing was written."""
    if state is None or not state.prompt_tokens:
        return None
    cached = max(0, state.prompt_tokens - state.evaluated_tokens)
    return _usage(
        {
            "prompt_tokens": state.prompt_tokens,
            "completion_tokens": state.reply_tokens,
            "total_tokens": state.prompt_tokens + state.reply_tokens,
            "prompt_tokens_details": {"cached_tokens": cached},
        }
    )


def _error(error: Mapping[str, Any]) -> dict[str, str]:
    code = error["code"]
    return {"code": code, "message": message_of(code, error["detail"], error)}


@dataclass(frozen=True, kw_only=True)
class ResponseShape:
    """What does not change in a response; `created_ms` is since the epoch."""

    job_id: str
    conversation_id: str
    created_ms: int
    request: TurnRequest
    model_name: str

    @cached_property
    def echo(self) -> dict[str, Any]:
        """What the response repeats of its request."""
        echo: dict[str, Any] = orjson.loads(self.request.echo)
        return DEFAULT_ECHO | echo

    @property
    def is_stored(self) -> bool:
        """Whether the response can be asked for later."""
        return bool(self.echo["store"])

    @cached_property
    def output(self) -> ItemShape:
        """How the items of the output are shown."""
        return ItemShape(
            job_id=self.job_id,
            has_summary=self.echo["reasoning"].get("summary") is not None,
            has_sealed=ENCRYPTED in self.echo["include"],
        )

    def to_wire(
        self,
        status: str,
        end: ResponseEnd | None = None,
    ) -> dict[str, Any]:
        """The response object; `end` once it has ended."""
        echo, sampling = self.echo, self.request.sampling
        end = end or ResponseEnd()
        return {
            "id": f"{RESPONSE}{self.job_id}",
            "object": "response",
            "created_at": self.created_ms // 1000,
            "completed_at": end.completed_at if status == "completed" else None,
            "status": status,
            "background": echo["background"],
            "error": end.error,
            "incomplete_details": {"reason": "max_output_tokens"}
            if status == "incomplete"
            else None,
            "instructions": echo["instructions"],
            "max_output_tokens": sampling.max_tokens,
            "max_tool_calls": echo["max_tool_calls"],
            "model": self.model_name,
            "output": self.output.items(end.parts, end.item_status),
            "parallel_tool_calls": echo["parallel_tool_calls"],
            "previous_response_id": echo["previous_response_id"],
            "conversation": {"id": f"{CONVERSATION}{self.conversation_id}"}
            if echo["store"]
            else None,
            "store": echo["store"],
            "temperature": _used(sampling, "temperature"),
            "top_p": _used(sampling, "top_p"),
            "presence_penalty": _used(sampling, "presence_penalty"),
            "frequency_penalty": _used(sampling, "frequency_penalty"),
            "top_logprobs": echo["top_logprobs"],
            "text": echo["text"],
            "reasoning": echo["reasoning"],
            "tool_choice": echo["tool_choice"],
            "tools": echo["tools"],
            "truncation": echo["truncation"],
            "usage": end.usage,
            "service_tier": "default",
            "safety_identifier": echo["safety_identifier"],
            "prompt_cache_key": echo["prompt_cache_key"],
            "user": echo["user"],
            "metadata": echo["metadata"],
            # Ours: what of the conversation the model saw.
            "window": end.window,
        }


def _used(sampling: Sampling, option: str) -> Any:
    value = getattr(sampling, option)
    return default_of(option) if value is None else value


def shape_of(state: JobState) -> ResponseShape:
    """The shape of a stored response."""
    request = TurnRequest.decode(state.request)
    return ResponseShape(
        job_id=state.job_id,
        conversation_id=state.conversation_id,
        created_ms=state.created_ms,
        request=request,
        model_name=state.model_name,
    )


def response_of(state: JobState, parts: Sequence[OutputPart]) -> dict[str, Any]:
    """The response object of a job as it is now.

    Args:
        parts: what was written, if it ended without a reply.
    """
    shape, status = shape_of(state), state.status
    if state.result is not None:
        status, end = end_with_reply(orjson.loads(state.result), state.finished_ms or 0)
        return shape.to_wire(status, end)
    if not state.has_ended:
        return shape.to_wire(status)
    error = orjson.loads(state.error)["error"] if state.error else None
    return shape.to_wire(status, end_without_reply(error, parts, usage_so_far(state)))


def _usage(usage: dict[str, Any]) -> dict[str, Any]:
    details = usage.get("completion_tokens_details") or {}
    return {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": usage["prompt_tokens_details"] | {"cache_write_tokens": 0},
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": details.get("reasoning_tokens", 0)},
        "total_tokens": usage["total_tokens"],
    }


def items_of_stored(message: StoredMessage) -> list[Item]:
    """A stored message as a conversation's items."""
    place = _PLACES[message.role] if message.place is None else f"i{message.place:04}"
    return items_of(message.job_id, place, message.message)


def input_items_of(state: JobState) -> list[Item]:
    """The input of a response as items, oldest first."""
    request = TurnRequest.decode(state.request)
    prompt = ChatMessage(
        role="tool" if request.call_id else "user",
        content=request.prompt,
        call_id=request.call_id,
    )
    earlier = [
        item
        for place, message in enumerate(request.earlier)
        for item in items_of(state.job_id, f"i{place:04}", message)
    ]
    return [*earlier, *items_of(state.job_id, _PLACES["user"], prompt)]
