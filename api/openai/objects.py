"""OpenAI's objects from ours: responses and their items."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import orjson

from api.openai.errors import message_of
from api.openai.ids import CONVERSATION, MESSAGE, RESPONSE
from api.openai.response_requests import ResponsesRequest
from shared.store.jobs import JobState
from shared.wire.messages import StoredMessage
from shared.wire.sampling import Sampling, default_of
from shared.wire.turn_request import TurnRequest

_ROLES: Final = {"user": "u", "assistant": "a"}


def echo_of(request: ResponsesRequest) -> str:
    """What a response repeats of its request, to be stored with the job."""
    reasoning, parallel = request.reasoning, request.parallel_tool_calls
    echo = {
        "instructions": request.instructions,
        "previous_response_id": request.previous_response_id,
        "store": request.is_stored,
        "background": bool(request.background),
        "truncation": request.truncation or "disabled",
        "metadata": request.metadata or {},
        "text": {"format": request.format}
        | ({"verbosity": request.text.verbosity} if request.text.verbosity else {}),
        "reasoning": reasoning.model_dump() if reasoning is not None else _NO_REASONING,
        "tool_choice": request.tool_choice or "auto",
        "parallel_tool_calls": True if parallel is None else parallel,
        "max_tool_calls": request.max_tool_calls,
        "safety_identifier": request.safety_identifier,
        "prompt_cache_key": request.prompt_cache_key,
        "user": request.user,
    }
    return orjson.dumps(echo).decode()


_NO_REASONING: Final[dict[str, Any]] = {"effort": None, "summary": None}
_DEFAULT_ECHO: Final[dict[str, Any]] = {
    "text": {"format": {"type": "text"}},
    "reasoning": _NO_REASONING,
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "max_tool_calls": None,
    "safety_identifier": None,
    "prompt_cache_key": None,
}
"""For responses that were stored by an older version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseEnd:
    """How a response ended.

    Args:
        text: the reply, as far as it was written; None if nothing was.
        item_status: the status of the reply's item.
        usage: as OpenAI counts it.
        window: which turns the model saw.
        error: why there is no reply.
        completed_at: seconds since the epoch.
    """

    text: str | None = None
    item_status: str = "completed"
    usage: dict[str, Any] | None = None
    window: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    completed_at: int | None = None


def end_with_reply(reply: Mapping[str, Any], finished_ms: int) -> tuple[str, ResponseEnd]:
    """The status and the end of a response that completed."""
    status = "incomplete" if reply["finish_reason"] == "length" else "completed"
    end = ResponseEnd(
        text=reply["reply"],
        item_status=status,
        usage=_usage(reply["usage"]),
        window=reply["window"],
        completed_at=finished_ms // 1000,
    )
    return status, end


def end_without_reply(
    error: Mapping[str, Any] | None, text: str, usage: dict[str, Any] | None
) -> ResponseEnd:
    """The end of a response that failed or was cancelled.

    Args:
        error: why it failed; None if it was cancelled.
        text: what was written until then.
        usage: what that took, if it is known.
    """
    return ResponseEnd(
        text=text or None,
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
        return _DEFAULT_ECHO | echo

    @property
    def is_stored(self) -> bool:
        """Whether the response can be asked for later."""
        return bool(self.echo["store"])

    @property
    def message_id(self) -> str:
        """The id of the reply's item."""
        return f"{MESSAGE}{self.job_id}{_ROLES['assistant']}"

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
            "output": [self.message(end.text, end.item_status)] if end.text is not None else [],
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
            "top_logprobs": 0,
            "text": echo["text"],
            "reasoning": echo["reasoning"],
            "tool_choice": echo["tool_choice"],
            "tools": [],
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

    def message(self, text: str | None, status: str) -> dict[str, Any]:
        """The reply as an output item; `text` is None when it has only begun."""
        return {
            "id": self.message_id,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": [output_text(text)] if text is not None else [],
        }


def _used(sampling: Sampling, option: str) -> Any:
    value = getattr(sampling, option)
    return default_of(option) if value is None else value


def output_text(text: str) -> dict[str, Any]:
    """Text as a part of a reply's content."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def shape_of(state: JobState, model_name: str) -> ResponseShape:
    """The shape of a stored response."""
    request = TurnRequest.decode(state.request)
    return ResponseShape(
        job_id=state.job_id,
        conversation_id=state.conversation_id,
        created_ms=state.created_ms,
        request=request,
        model_name=model_name,
    )


def response_of(state: JobState, model_name: str, text: str) -> dict[str, Any]:
    """The response object of a job as it is now.

    Args:
        text: what was written, if it ended without a reply.
    """
    shape, status = shape_of(state, model_name), state.status
    if state.result is not None:
        status, end = end_with_reply(orjson.loads(state.result), state.finished_ms or 0)
        return shape.to_wire(status, end)
    if not state.has_ended:
        return shape.to_wire(status)
    error = orjson.loads(state.error)["error"] if state.error else None
    return shape.to_wire(status, end_without_reply(error, text, usage_so_far(state)))


def _usage(usage: dict[str, Any]) -> dict[str, Any]:
    return {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": usage["prompt_tokens_details"] | {"cache_write_tokens": 0},
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage["total_tokens"],
    }


def item_of(message: StoredMessage) -> dict[str, Any]:
    """A stored message as a conversation's item."""
    suffix = _ROLES[message.role] if message.place is None else f"i{message.place:04}"
    return _item(f"{MESSAGE}{message.job_id}{suffix}", message.role, message.content)


def input_items_of(state: JobState) -> list[dict[str, Any]]:
    """The input of a response as items, oldest first."""
    request = TurnRequest.decode(state.request)
    earlier = [
        _item(f"{MESSAGE}{state.job_id}i{place:04}", message.role, message.content)
        for place, message in enumerate(request.earlier)
    ]
    prompt = _item(f"{MESSAGE}{state.job_id}{_ROLES['user']}", "user", request.prompt)
    return [*earlier, prompt]


def _item(name: str, role: str, text: str) -> dict[str, Any]:
    part = output_text(text) if role == "assistant" else {"type": "input_text", "text": text}
    return {
        "id": name,
        "type": "message",
        "status": "completed",
        "role": role,
        "content": [part],
    }
