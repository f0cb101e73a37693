"""The events of a response's stream, for `/openapi.json`."""

from typing import Final, Literal

from typing_extensions import TypedDict

from api.openai.schemas import (
    ContentPart,
    DrawnToken,
    OutputItem,
    ReasoningPart,
    Response,
    SummaryPart,
)


class ResponseEvent(TypedDict):
    """The response has reached another status."""

    type: Literal[
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.completed",
        "response.incomplete",
        "response.failed",
    ]
    sequence_number: int
    response: Response


class OutputItemEvent(TypedDict):
    """An item of the output has begun, or is complete."""

    type: Literal["response.output_item.added", "response.output_item.done"]
    sequence_number: int
    output_index: int
    item: OutputItem


class ContentPartEvent(TypedDict):
    """A part of a message or of a thought has begun, or is complete."""

    type: Literal["response.content_part.added", "response.content_part.done"]
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    part: ContentPart | ReasoningPart


class TextDeltaEvent(TypedDict):
    """A piece of the reply."""

    type: Literal["response.output_text.delta"]
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    delta: str
    logprobs: list[DrawnToken]


class TextDoneEvent(TypedDict):
    """The whole text of the reply."""

    type: Literal["response.output_text.done"]
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    text: str
    logprobs: list[DrawnToken]


class ReasoningDeltaEvent(TypedDict):
    """A piece of a thought, where no summary was asked for."""

    type: Literal["response.reasoning.delta"]
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    delta: str


class ReasoningDoneEvent(TypedDict):
    """A whole thought, where no summary was asked for."""

    type: Literal["response.reasoning.done"]
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    text: str


class SummaryPartEvent(TypedDict):
    """The summary of a thought has begun, or is complete."""

    type: Literal["response.reasoning_summary_part.added", "response.reasoning_summary_part.done"]
    sequence_number: int
    item_id: str
    output_index: int
    summary_index: int
    part: SummaryPart


class SummaryDeltaEvent(TypedDict):
    """A piece of a thought, where a summary was asked for."""

    type: Literal["response.reasoning_summary_text.delta"]
    sequence_number: int
    item_id: str
    output_index: int
    summary_index: int
    delta: str


class SummaryDoneEvent(TypedDict):
    """A whole thought, where a summary was asked for."""

    type: Literal["response.reasoning_summary_text.done"]
    sequence_number: int
    item_id: str
    output_index: int
    summary_index: int
    text: str


class ArgumentsDeltaEvent(TypedDict):
    """The arguments of a call. They come whole, once the call is."""

    type: Literal["response.function_call_arguments.delta"]
    sequence_number: int
    item_id: str
    output_index: int
    delta: str


class ArgumentsDoneEvent(TypedDict):
    """The arguments of a call are complete."""

    type: Literal["response.function_call_arguments.done"]
    sequence_number: int
    item_id: str
    output_index: int
    name: str
    arguments: str


RESPONSE_EVENTS: Final[dict[str, type]] = {
    "response.created": ResponseEvent,
    "response.queued": ResponseEvent,
    "response.in_progress": ResponseEvent,
    "response.output_item.added": OutputItemEvent,
    "response.content_part.added": ContentPartEvent,
    "response.reasoning.delta": ReasoningDeltaEvent,
    "response.reasoning.done": ReasoningDoneEvent,
    "response.reasoning_summary_part.added": SummaryPartEvent,
    "response.reasoning_summary_text.delta": SummaryDeltaEvent,
    "response.reasoning_summary_text.done": SummaryDoneEvent,
    "response.reasoning_summary_part.done": SummaryPartEvent,
    "response.function_call_arguments.delta": ArgumentsDeltaEvent,
    "response.function_call_arguments.done": ArgumentsDoneEvent,
    "response.output_text.delta": TextDeltaEvent,
    "response.output_text.done": TextDoneEvent,
    "response.content_part.done": ContentPartEvent,
    "response.output_item.done": OutputItemEvent,
    "response.completed": ResponseEvent,
    "response.incomplete": ResponseEvent,
    "response.failed": ResponseEvent,
}
