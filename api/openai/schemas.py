"""OpenAI's answers and events, as far as this server sends them, for `/openapi.json`."""

from typing import Any, Final, Literal, NotRequired

from typing_extensions import TypedDict

from shared.wire.messages import Role
from shared.wire.reply import Usage, WindowReceipt

ResponseStatus = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
CompletionFinish = Literal["stop", "length"]


class Model(TypedDict):
    """A model that workers run. Both lengths are its context window in tokens."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    context_length: int
    max_model_len: int


class ModelList(TypedDict):
    """The models of all workers."""

    object: Literal["list"]
    data: list[Model]


class CompletionMessage(TypedDict):
    """The reply."""

    role: Literal["assistant"]
    content: str
    refusal: None


class CompletionChoice(TypedDict):
    """There is always exactly one."""

    index: int
    message: CompletionMessage
    logprobs: None
    finish_reason: CompletionFinish


class ChatCompletion(TypedDict):
    """A reply in one piece."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage


class CompletionDelta(TypedDict):
    """What a chunk adds to the reply."""

    role: NotRequired[Literal["assistant"]]
    content: NotRequired[str]


class ChunkChoice(TypedDict):
    """`finish_reason` is set in the last chunk of the reply."""

    index: int
    delta: CompletionDelta
    logprobs: None
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


class ContentPart(TypedDict):
    """Text: `input_text` of a client, `output_text` of the model."""

    type: Literal["input_text", "output_text"]
    text: str
    annotations: NotRequired[list[Any]]
    logprobs: NotRequired[list[Any]]


class MessageItem(TypedDict):
    """A message of a conversation, of an input or of a response's output."""

    id: str
    type: Literal["message"]
    status: Literal["in_progress", "completed", "incomplete"]
    role: Role
    content: list[ContentPart]


class ItemList(TypedDict):
    """A page of items."""

    object: Literal["list"]
    data: list[MessageItem]
    first_id: str | None
    last_id: str | None
    has_more: bool


class InputTokensDetails(TypedDict):
    """`cached_tokens` did not have to be evaluated again."""

    cached_tokens: int
    cache_write_tokens: int


class OutputTokensDetails(TypedDict):
    """Tokens of the reply by kind."""

    reasoning_tokens: int


class ResponseUsage(TypedDict):
    """Tokens that a response took."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class ResponseError(TypedDict):
    """Why a response failed."""

    code: str
    message: str


class IncompleteDetails(TypedDict):
    """Why a reply is incomplete."""

    reason: Literal["max_output_tokens"]


class ConversationReference(TypedDict):
    """The conversation that a response belongs to."""

    id: str


class Response(TypedDict):
    """A response: one turn of a conversation.

    `window` is an extension: how much of the conversation the model saw.
    """

    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: ResponseStatus
    background: bool
    error: ResponseError | None
    incomplete_details: IncompleteDetails | None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    model: str
    output: list[MessageItem]
    parallel_tool_calls: bool
    previous_response_id: str | None
    conversation: ConversationReference | None
    store: bool
    temperature: float
    top_p: float
    presence_penalty: float
    frequency_penalty: float
    top_logprobs: int
    text: dict[str, Any]
    reasoning: dict[str, Any]
    tool_choice: str
    tools: list[Any]
    truncation: Literal["auto", "disabled"]
    usage: ResponseUsage | None
    service_tier: str
    safety_identifier: str | None
    prompt_cache_key: str | None
    user: str | None
    metadata: dict[str, str]
    window: WindowReceipt | None


class DeletedResponse(TypedDict):
    """The response is gone."""

    id: str
    object: Literal["response"]
    deleted: Literal[True]


class OpenAiConversation(TypedDict):
    """A conversation as OpenAI's API shows it."""

    id: str
    object: Literal["conversation"]
    created_at: int
    metadata: dict[str, str]


class DeletedConversation(TypedDict):
    """The conversation is gone."""

    id: str
    object: Literal["conversation.deleted"]
    deleted: Literal[True]


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
    """A message of the output has begun, or is complete."""

    type: Literal["response.output_item.added", "response.output_item.done"]
    sequence_number: int
    output_index: int
    item: MessageItem


class ContentPartEvent(TypedDict):
    """A part of a message has begun, or is complete."""

    type: Literal["response.content_part.added", "response.content_part.done"]
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    part: ContentPart


class TextDeltaEvent(TypedDict):
    """A piece of the reply."""

    type: Literal["response.output_text.delta"]
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    delta: str
    logprobs: list[Any]


class TextDoneEvent(TypedDict):
    """The whole text of the reply."""

    type: Literal["response.output_text.done"]
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    text: str
    logprobs: list[Any]


class OpenAiErrorDetails(TypedDict):
    """What went wrong; `param` names the field as the client wrote it."""

    message: str
    type: str
    param: str | None
    code: str
    job: NotRequired[str]
    id: NotRequired[int]
    prompt_tokens: NotRequired[int]
    budget: NotRequired[int]


class OpenAiError(TypedDict):
    """An error as OpenAI's clients expect it."""

    error: OpenAiErrorDetails


RESPONSE_EVENTS: Final[dict[str, type]] = {
    "response.created": ResponseEvent,
    "response.queued": ResponseEvent,
    "response.in_progress": ResponseEvent,
    "response.output_item.added": OutputItemEvent,
    "response.content_part.added": ContentPartEvent,
    "response.output_text.delta": TextDeltaEvent,
    "response.output_text.done": TextDoneEvent,
    "response.content_part.done": ContentPartEvent,
    "response.output_item.done": OutputItemEvent,
    "response.completed": ResponseEvent,
    "response.incomplete": ResponseEvent,
    "response.failed": ResponseEvent,
}
