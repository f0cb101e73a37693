"""Chat completions, whole and in chunks, for `/openapi.json`."""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from api.openai.schemas import DrawnToken
from shared.wire.reply import Usage

CompletionFinish = Literal["stop", "length", "tool_calls", "function_call"]


class CalledFunction(TypedDict):
    """A function that the model calls; `arguments` is the JSON text that it wrote."""

    name: str
    arguments: str


class CompletionCall(TypedDict):
    """A call of one of the client's tools."""

    id: str
    type: Literal["function"]
    function: CalledFunction


class CompletionMessage(TypedDict):
    """The reply. Without a text of its own, a message with calls has no content.

    `function_call` takes the place of `tool_calls` where a client sent `functions`.
    """

    role: Literal["assistant"]
    content: str | None
    refusal: None
    reasoning_content: NotRequired[str]
    tool_calls: NotRequired[list[CompletionCall]]
    function_call: NotRequired[CalledFunction]


class CompletionLogprobs(TypedDict):
    """The probabilities of the text's tokens."""

    content: list[DrawnToken]
    refusal: None


class CompletionChoice(TypedDict):
    """One of `n` replies."""

    index: int
    message: CompletionMessage
    logprobs: CompletionLogprobs | None
    finish_reason: CompletionFinish


class ChatCompletion(TypedDict):
    """A reply in one piece."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage


class DeltaFunction(TypedDict):
    """The name of a function that is called comes first, then its arguments."""

    name: NotRequired[str]
    arguments: str


class DeltaCall(TypedDict):
    """What a chunk adds to the call with this index."""

    index: int
    id: NotRequired[str]
    type: NotRequired[Literal["function"]]
    function: DeltaFunction


class CompletionDelta(TypedDict):
    """What a chunk adds to the reply."""

    role: NotRequired[Literal["assistant"]]
    content: NotRequired[str | None]
    reasoning_content: NotRequired[str]
    tool_calls: NotRequired[list[DeltaCall]]
    function_call: NotRequired[DeltaFunction]


class ChunkChoice(TypedDict):
    """`finish_reason` is set in the last chunk of the reply."""

    index: int
    delta: CompletionDelta
    logprobs: CompletionLogprobs | None
    finish_reason: CompletionFinish | None


class ChatCompletionChunk(TypedDict):
    """A piece of a streamed reply.

    With `stream_options.include_usage` every chunk has `usage`: null, except in the last one, which
    has no choices.
    """

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: NotRequired[Usage | None]
