"""OpenAI's answers, as far as this server sends them, for `/openapi.json`."""

from typing import Any, Literal, NotRequired

from pydantic import RootModel
from typing_extensions import TypedDict

from shared.wire.reply import WindowReceipt

ResponseStatus = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
MessageRole = Literal["system", "user", "assistant"]


class Model(TypedDict):
    """A model that workers run. Both lengths are its context window in tokens.

    `demo` marks the bundled model, which only shows that everything works.
    """

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    context_length: int
    max_model_len: int
    workers: int
    capabilities: list[str]
    demo: NotRequired[bool]


class ModelList(TypedDict):
    """The models of all workers."""

    object: Literal["list"]
    data: list[Model]


class TokenProbability(TypedDict):
    """A token, with the natural logarithm of its probability; `bytes` are those of its text."""

    token: str
    logprob: float
    bytes: list[int] | None


class DrawnToken(TokenProbability):
    """A token of the reply, and the likeliest ones in its place."""

    top_logprobs: list[TokenProbability]


class ContentPart(TypedDict):
    """Text: `input_text` of a client, `output_text` of the model."""

    type: Literal["input_text", "output_text"]
    text: str
    annotations: NotRequired[list[Any]]
    logprobs: NotRequired[list[DrawnToken]]


ItemStatus = Literal["in_progress", "completed", "incomplete"]


class MessageItem(TypedDict):
    """A message of a conversation, of an input or of a response's output."""

    id: str
    type: Literal["message"]
    status: ItemStatus
    role: MessageRole
    content: list[ContentPart]


class ReasoningPart(TypedDict):
    """A thought."""

    type: Literal["reasoning_text"]
    text: str


class SummaryPart(TypedDict):
    """A thought, shown as its own summary."""

    type: Literal["summary_text"]
    text: str


class ReasoningItem(TypedDict):
    """What the model thought.

    `summary` repeats it if the request asked for one, and `encrypted_content` holds it for clients
    that keep nothing else; it is not encrypted.
    """

    id: str
    type: Literal["reasoning"]
    status: ItemStatus
    summary: list[SummaryPart]
    content: list[ReasoningPart]
    encrypted_content: NotRequired[str]


class CallItem(TypedDict):
    """A call of one of the client's tools; `arguments` is the JSON text that the model wrote."""

    id: str
    type: Literal["function_call"]
    status: ItemStatus
    call_id: str
    name: str
    arguments: str


class CallOutputItem(TypedDict):
    """The result of a call."""

    id: str
    type: Literal["function_call_output"]
    status: ItemStatus
    call_id: str
    output: str


OutputItem = MessageItem | ReasoningItem | CallItem


class Item(RootModel[MessageItem | ReasoningItem | CallItem | CallOutputItem]):
    """A message, a thought, a call or its result."""


class ItemList(TypedDict):
    """A page of items."""

    object: Literal["list"]
    data: list[Item]
    first_id: str | None
    last_id: str | None
    has_more: bool


class InputTokens(TypedDict):
    """How many tokens an input has."""

    object: Literal["response.input_tokens"]
    input_tokens: int


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
    output: list[OutputItem]
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
    tool_choice: str | dict[str, Any]
    tools: list[dict[str, Any]]
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
