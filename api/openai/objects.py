"""OpenAI's objects from ours: responses, their items and events."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import orjson

from api.openai.errors import message_of
from api.openai.response_requests import ResponsesRequest
from shared.store.jobs import JobState
from shared.wire.event import Event, order
from shared.wire.messages import StoredMessage
from shared.wire.sampling import Sampling, default_of
from shared.wire.turn_request import TurnRequest

RESPONSE: Final = "resp_"
CONVERSATION: Final = "conv_"
MESSAGE: Final = "msg_"
_HEAD: Final = len(MESSAGE) + 32
_ITEM_ID: Final = re.compile(MESSAGE + "[0-9a-f]{32}([ua]|i[0-9]{4})")
_ROLES: Final = {"user": "u", "assistant": "a"}


def echo_of(request: ResponsesRequest) -> str:
    """What a response tells of its request, to be stored with the job."""
    reasoning, sends_parallel = request.reasoning, request.parallel_tool_calls
    said = {
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
        "parallel_tool_calls": True if sends_parallel is None else sends_parallel,
        "max_tool_calls": request.max_tool_calls,
        "safety_identifier": request.safety_identifier,
        "prompt_cache_key": request.prompt_cache_key,
        "user": request.user,
    }
    return orjson.dumps(said).decode()


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
"""For responses that an older version has stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a response ended.

    Args:
        text: of the reply, as far as it was written; None if there is none.
        item_status: of the reply.
        usage: in OpenAI's words.
        window: the receipt of a reply.
        error: why there is no reply.
        completed_at: seconds since the epoch.
    """

    text: str | None = None
    item_status: str = "completed"
    usage: dict[str, Any] | None = None
    window: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    completed_at: int | None = None


def end_with_reply(reply: Mapping[str, Any], finished_ms: int) -> tuple[str, End]:
    """The status of a response that has this reply, and its end."""
    status = "incomplete" if reply["finish_reason"] == "length" else "completed"
    end = End(
        text=reply["reply"],
        item_status=status,
        usage=_usage(reply["usage"]),
        window=reply["window"],
        completed_at=finished_ms // 1000,
    )
    return status, end


def end_without_reply(
    error: Mapping[str, Any] | None, text: str, usage: dict[str, Any] | None
) -> End:
    """The end of a response that failed (with this error) or was cancelled.

    Args:
        text: what was written until then.
        usage: what that took, if it is known.
    """
    return End(
        text=text or None,
        item_status="incomplete",
        usage=usage,
        error=_error(error) if error else None,
    )


def usage_so_far(state: JobState | None) -> dict[str, Any] | None:
    """What a turn has taken that has no reply; None before anything was written."""
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
    """What of a response is known before it has ended.

    Args:
        created_ms: since the epoch.
        model: the name of the model that answers.
    """

    job_id: str
    conversation_id: str
    created_ms: int
    request: TurnRequest
    model_name: str

    @cached_property
    def echo(self) -> dict[str, Any]:
        """What it tells of its request."""
        said: dict[str, Any] = orjson.loads(self.request.echo)
        return _DEFAULT_ECHO | said

    @property
    def is_stored(self) -> bool:
        """Whether it can be asked for later."""
        return bool(self.echo["store"])

    @property
    def message_id(self) -> str:
        return f"{MESSAGE}{self.job_id}{_ROLES['assistant']}"

    def to_wire(
        self,
        status: str,
        end: End | None = None,
    ) -> dict[str, Any]:
        """The response object; `end` once it has ended."""
        echo, sampling = self.echo, self.request.sampling
        end = end or End()
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
        """The reply as an output item; without text it has only begun."""
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
    """A part of a reply's content."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def shape_of(state: JobState, model: str) -> ResponseShape:
    """From what is stored of a job."""
    request = TurnRequest.decode(state.request)
    return ResponseShape(
        job_id=state.job_id,
        conversation_id=state.conversation_id,
        created_ms=state.created_ms,
        request=request,
        model_name=model,
    )


def response_of(state: JobState, model: str, written: str) -> dict[str, Any]:
    """The response object of a job as it is now; `written` is its reply so far, if it has none."""
    shape, status = shape_of(state, model), state.status
    if state.result is not None:
        status, end = end_with_reply(orjson.loads(state.result), state.finished_ms or 0)
        return shape.to_wire(status, end)
    if not state.has_ended:
        return shape.to_wire(status)
    error = orjson.loads(state.error)["error"] if state.error else None
    return shape.to_wire(status, end_without_reply(error, written, usage_so_far(state)))


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


def is_item(name: str) -> bool:
    """Whether something looks like the id of an item."""
    return _ITEM_ID.fullmatch(name) is not None


def item_order(name: str) -> tuple[str, int, str]:
    """Of an item's id: by the time of its turn, and in it what was brought along, prompt, reply."""
    head, suffix = name[:_HEAD], name[_HEAD:]
    return head, "iua".index(suffix[0]), suffix


def input_items_of(state: JobState) -> list[dict[str, Any]]:
    """What a response was asked, as items, oldest first."""
    request = TurnRequest.decode(state.request)
    brought_along = [
        _item(f"{MESSAGE}{state.job_id}i{place:04}", message.role, message.content)
        for place, message in enumerate(request.earlier)
    ]
    prompt = _item(f"{MESSAGE}{state.job_id}{_ROLES['user']}", "user", request.prompt)
    return [*brought_along, prompt]


def _item(name: str, role: str, text: str) -> dict[str, Any]:
    part = output_text(text) if role == "assistant" else {"type": "input_text", "text": text}
    return {
        "id": name,
        "type": "message",
        "status": "completed",
        "role": role,
        "content": [part],
    }


class ResponseEvents:
    """A job's log as OpenAI's events.

    The log only grows, so that the same events get the same numbers whenever it is read.
    """

    def __init__(self, shape: ResponseShape) -> None:
        self._shape = shape
        self._number = 0
        self._text = ""
        self._is_announced = False
        self._is_started = False
        self._is_open = False

    def from_number(
        self, event: Event, begin: int, usage: dict[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        """What one entry of the log gives, numbered `begin` and above.

        Once the log has expired, its last entry is all that is left and gives fewer events than
        there were: then the end is told in any case.

        Args:
            usage: of a turn that ended without a reply.
        """
        has_expired = event.is_terminal and not self._is_announced
        one: dict[str, Any] = {}
        for one in self._of(event, usage):
            if one["sequence_number"] >= begin:
                yield one
        if has_expired and one["sequence_number"] < begin:
            yield one | {"sequence_number": begin}

    def _of(self, event: Event, usage: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
        if not self._is_announced:
            self._is_announced = True
            yield self._with_response("response.created", "queued")
            yield self._with_response("response.queued", "queued")
        if event.kind in ("started", "token", "completed") and not self._is_started:
            self._is_started = True
            yield self._with_response("response.in_progress", "in_progress")
        if event.kind == "token":
            yield from self._delta(orjson.loads(event.data)["text"])
        elif event.kind == "completed":
            yield from self._complete(orjson.loads(event.data), order(event.id)[0])
        elif event.is_terminal:
            yield from self._break_off(event, usage)

    def _open(self) -> Iterator[dict[str, Any]]:
        """The item, once there is something in it: a turn that fails before has none."""
        if not self._is_open:
            self._is_open = True
            item = self._shape.message(None, "in_progress")
            yield self._event("response.output_item.added", output_index=0, item=item)
            yield self._part("response.content_part.added", part=output_text(""))

    def _delta(self, text: str) -> Iterator[dict[str, Any]]:
        yield from self._open()
        self._text += text
        yield self._part("response.output_text.delta", delta=text, logprobs=[])

    def _complete(self, reply: dict[str, Any], finished_ms: int) -> Iterator[dict[str, Any]]:
        status, end = end_with_reply(reply, finished_ms)
        if not self._text and end.text:  # the log has expired
            yield from self._delta(end.text)
        yield from self._open()
        yield from self._close(reply["reply"], end.item_status)
        yield self._with_response(f"response.{status}", status, end)

    def _break_off(self, event: Event, usage: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
        """It failed or was cancelled: what was written until then is kept, and is all."""
        end = end_without_reply(orjson.loads(event.data).get("error"), self._text, usage)
        if self._is_open:
            yield from self._close(self._text, end.item_status)
        kind = "response.failed" if event.kind == "failed" else "response.incomplete"
        yield self._with_response(kind, event.kind, end)

    def _close(self, text: str, status: str) -> Iterator[dict[str, Any]]:
        yield self._part("response.output_text.done", text=text, logprobs=[])
        yield self._part("response.content_part.done", part=output_text(text))
        item = self._shape.message(text, status)
        yield self._event("response.output_item.done", output_index=0, item=item)

    def _part(self, kind: str, **fields: Any) -> dict[str, Any]:
        where = {"item_id": self._shape.message_id, "output_index": 0, "content_index": 0}
        return self._event(kind, **where, **fields)

    def _with_response(self, kind: str, status: str, end: End | None = None) -> dict[str, Any]:
        return self._event(kind, response=self._shape.to_wire(status, end))

    def _event(self, kind: str, **fields: Any) -> dict[str, Any]:
        event = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return event
