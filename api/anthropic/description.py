"""Anthropic's routes."""

from typing import Any, Final

from api.anthropic import schemas
from api.anthropic.requests import CountTokensRequest, MessagesRequest
from api.description.problems import ENDING_WITHOUT_REPLY, SUBMITTING
from api.description.route import Answer, Body, Operation, Route

MESSAGES: Final = "Anthropic: messages"

_MODEL_NAME: Final = "smollm2-135m-instruct"
_QUESTION: Final[dict[str, Any]] = {
    "model": _MODEL_NAME,
    "messages": [{"role": "user", "content": "Name a famous person."}],
}
_WEATHER: Final = {
    "name": "weather",
    "description": "The weather of a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
_USAGE: Final = {
    "input_tokens": 7,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 24,
    "output_tokens": 9,
}
_REPLY: Final = {
    "id": "msg_01a20468ad556c9e281ab26b9b22bda1",
    "type": "message",
    "role": "assistant",
    "model": _MODEL_NAME,
    "content": [{"type": "text", "text": "Akira Kurosawa."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": _USAGE,
}
_STREAM: Final = (
    'event: message_start\ndata: {"type": "message_start", "message": {…}}\n\n'
    'event: content_block_start\ndata: {"type": "content_block_start", "index": 0, …}\n\n'
    'event: content_block_delta\ndata: {"type": "content_block_delta", "index": 0, '
    '"delta": {"type": "text_delta", "text": "Akira Kurosawa."}}\n\n'
    'event: content_block_stop\ndata: {"type": "content_block_stop", "index": 0}\n\n'
    'event: message_delta\ndata: {"type": "message_delta", …}\n\n'
    'event: message_stop\ndata: {"type": "message_stop"}\n\n'
)
_PROBLEMS: Final = (*SUBMITTING, *ENDING_WITHOUT_REPLY, "unusable_options", "no_outcome")

ROUTES: Final = (
    Route(
        path="/v1/messages",
        operations=(
            Operation(
                method="POST",
                id="anthropicCreateMessage",
                tag=MESSAGES,
                summary="Answer a conversation that the client keeps",
                description=(
                    "Stateless: `messages` is the whole conversation, and nothing is stored. A "
                    "conversation that does not fit the context window is an error; it is never "
                    "cut. A client that disconnects cancels its message. The key may also be sent "
                    "as `x-api-key`."
                ),
                body=Body(
                    kind=MessagesRequest,
                    examples={
                        "A question": _QUESTION | {"max_tokens": 256},
                        "A stream": _QUESTION | {"max_tokens": 256, "stream": True},
                        "A tool": _QUESTION | {"max_tokens": 256, "tools": [_WEATHER]},
                    },
                ),
                answers=(
                    Answer(
                        description="The reply, or with `stream` its events.",
                        kind=schemas.AnthropicReply,
                        example=_REPLY,
                        events=schemas.EVENTS,
                        stream_example=_STREAM,
                    ),
                ),
                problems=_PROBLEMS,
            ),
        ),
    ),
    Route(
        path="/v1/messages/count_tokens",
        operations=(
            Operation(
                method="POST",
                id="anthropicCountTokens",
                tag=MESSAGES,
                summary="Count the tokens of a conversation",
                description="As the model would see it, with tools and chat template. A worker "
                "counts, so that the request waits for its turn like any other.",
                body=Body(kind=CountTokensRequest, examples={"A question": _QUESTION}),
                answers=(
                    Answer(
                        description="The count.",
                        kind=schemas.TokenCountObject,
                        example={"input_tokens": 31},
                    ),
                ),
                problems=_PROBLEMS,
            ),
        ),
    ),
)
