"""OpenAI's objects from ours: responses, their items and events."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from api.openai.response_requests import ResponsesRequest
from shared.events import Event
from shared.jobs import JobState
from shared.messages import StoredMessage
from shared.schema import TurnRequest

RESPONSE: Final = "resp_"
CONVERSATION: Final = "conv_"
MESSAGE: Final = "msg_"
_ROLES: Final = {"user": "u", "assistant": "a"}


def echo_of(request: ResponsesRequest) -> str:
    """What a response tells of its request, to be stored with the job."""
    said = {
        "instructions": request.instructions,
        "previous_response_id": request.previous_response_id,
        "in_conversation": request.conversation is not None,
        "store": request.is_stored,
        "background": bool(request.background),
        "truncation": request.truncation or "disabled",
        "metadata": request.metadata or {},
        "format": request.text.format.model_dump(by_alias=True, exclude_none=True),
        "user": request.user,
    }
    return orjson.dumps(said).decode()


@dataclass(frozen=True, slots=True)
class ResponseShape:
    """What of a response is known before it has ended.

    Args:
        created_ms: since the epoch.
        model: the name of the model that answers.
    """

    job: str
    conversation: str
    created_ms: int
    request: TurnRequest
    model: str

    @property
    def is_stored(self) -> bool:
        """Whether it can be asked for later."""
        return bool(orjson.loads(self.request.echo)["store"])

    @property
    def message_id(self) -> str:
        return f"{MESSAGE}{self.job}{_ROLES['assistant']}"

    def to_wire(
        self,
        status: str,
        result: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The response object."""
        echo: dict[str, Any] = orjson.loads(self.request.echo)
        sampling = self.request.sampling
        cut_short = result is not None and result["finish_reason"] == "length"
        return {
            "id": f"{RESPONSE}{self.job}",
            "object": "response",
            "created_at": self.created_ms // 1000,
            "status": "incomplete" if cut_short else status,
            "background": echo["background"],
            "error": {"code": "server_error", "message": error["detail"]} if error else None,
            "incomplete_details": {"reason": "max_output_tokens"} if cut_short else None,
            "instructions": echo["instructions"],
            "max_output_tokens": sampling.max_tokens,
            "model": self.model,
            "output": [self.message(result["reply"])] if result is not None else [],
            "parallel_tool_calls": False,
            "previous_response_id": echo["previous_response_id"],
            "conversation": {"id": f"{CONVERSATION}{self.conversation}"}
            if echo["in_conversation"]
            else None,
            "store": echo["store"],
            "temperature": sampling.temperature,
            "text": {"format": echo["format"]},
            "tool_choice": "none",
            "tools": [],
            "top_p": sampling.top_p,
            "truncation": echo["truncation"],
            "usage": _usage(result["usage"]) if result is not None else None,
            "user": echo["user"],
            "metadata": echo["metadata"],
            # Ours: what of the conversation the model saw.
            "window": result["window"] if result is not None else None,
        }

    def message(self, text: str, status: str = "completed") -> dict[str, Any]:
        """The reply as an output item."""
        content = [output_text(text)] if status == "completed" else []
        return {
            "id": self.message_id,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": content,
        }


def output_text(text: str) -> dict[str, Any]:
    """A part of a reply's content."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def shape_of(state: JobState, model: str) -> ResponseShape:
    """From what is stored of a job."""
    request = TurnRequest.decode(state.request)
    return ResponseShape(state.job, state.conversation, state.created_ms, request, model)


def response_of(state: JobState, model: str) -> dict[str, Any]:
    """The response object of a job as it is now."""
    result = orjson.loads(state.result) if state.result is not None else None
    error = orjson.loads(state.error)["error"] if state.error else None
    return shape_of(state, model).to_wire(state.status, result, error)


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
    part = {"type": "input_text", "text": message.content}
    if message.role == "assistant":
        part = output_text(message.content)
    return {
        "id": f"{MESSAGE}{message.job}{_ROLES[message.role]}",
        "type": "message",
        "status": "completed",
        "role": message.role,
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
        self._has_begun = False
        self._is_announced = False

    def from_number(self, event: Event, begin: int) -> Iterator[dict[str, Any]]:
        """What one entry of the log gives, numbered `begin` and above.

        The end is always told: once the log has expired, what is left of it has fewer events.
        """
        one: dict[str, Any] = {}
        for one in self._of(event):
            if one["sequence_number"] >= begin:
                yield one
        if event.is_terminal and one["sequence_number"] < begin:
            yield one | {"sequence_number": begin}

    def _of(self, event: Event) -> Iterator[dict[str, Any]]:
        if not self._is_announced:
            self._is_announced = True
            yield self._with_response("response.created", "queued")
            yield self._with_response("response.queued", "queued")
        if event.kind in ("started", "token", "completed") and not self._has_begun:
            yield from self._begin()
        if event.kind == "token":
            yield self._delta(orjson.loads(event.data)["text"])
        elif event.kind == "completed":
            yield from self._complete(orjson.loads(event.data))
        elif event.is_terminal:
            error = orjson.loads(event.data).get("error")
            yield self._with_response("response.failed", event.kind, error=error)

    def _begin(self) -> Iterator[dict[str, Any]]:
        self._has_begun = True
        yield self._with_response("response.in_progress", "in_progress")
        item = self._shape.message("", "in_progress")
        yield self._event("response.output_item.added", output_index=0, item=item)
        yield self._part("response.content_part.added", part=output_text(""))

    def _delta(self, text: str) -> dict[str, Any]:
        self._text += text
        return self._part("response.output_text.delta", delta=text, logprobs=[])

    def _complete(self, reply: dict[str, Any]) -> Iterator[dict[str, Any]]:
        text = reply["reply"]
        if not self._text and text:  # the log has expired
            yield self._delta(text)
        yield self._part("response.output_text.done", text=text, logprobs=[])
        yield self._part("response.content_part.done", part=output_text(text))
        item = self._shape.message(text)
        yield self._event("response.output_item.done", output_index=0, item=item)
        response = self._shape.to_wire("completed", reply)
        yield self._event(f"response.{response['status']}", response=response)

    def _part(self, kind: str, **fields: Any) -> dict[str, Any]:
        where = {"item_id": self._shape.message_id, "output_index": 0, "content_index": 0}
        return self._event(kind, **where, **fields)

    def _with_response(
        self, kind: str, status: str, error: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        return self._event(kind, response=self._shape.to_wire(status, error=error))

    def _event(self, kind: str, **fields: Any) -> dict[str, Any]:
        event = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return event
