"""The JSON objects that clients get, except the reply (`reply.py`)."""

from typing import NotRequired, cast

from typing_extensions import TypedDict

from shared.wire.job_status import JobStatus
from shared.wire.memory import MemoryMode
from shared.wire.messages import Role, StoredMessage
from shared.wire.reply import (
    FinishReason,
    ReplyObject,
    ToolCallObject,
    WindowReceipt,
    tool_call_object,
)
from shared.wire.timestamps import rfc3339


class JobError(TypedDict):
    """Why a job failed."""

    code: str
    detail: str


class QueuePlace(TypedDict):
    """A waiting turn's position, from 1, and how long until it starts at the present pace."""

    position: int
    eta_seconds: float


class JobLinks(TypedDict):
    """Paths of a job."""

    self: str
    events: str


class JobObject(TypedDict):
    """A job, with `result` when completed and `error` when failed."""

    job: str
    status: JobStatus
    id: int
    attempts: int
    continues: NotRequired[bool]
    prompt: NotRequired[str]
    replace_from: NotRequired[int]
    created_at: str
    started_at: NotRequired[str]
    finished_at: NotRequired[str]
    queue: NotRequired[QueuePlace]
    result: NotRequired[ReplyObject]
    error: NotRequired[JobError]
    links: JobLinks


class AlternativesOfMessage(TypedDict):
    """Which tails may stand from a message on: how many, which one does, counted from 1.

    `ids` has all of them in the order in which they were sent.
    """

    count: int
    shown: int
    ids: list[str]


class MessageParts(TypedDict, total=False):
    """What a message has besides its content.

    Only replies have the first four, only tools' results the next two. Replies that were stored
    before Palaver knew parts, or brought along by a client, may have neither a `finish_reason`
    nor a `model`. `pinned` is there if it is true.
    """

    finish_reason: FinishReason
    model: str
    reasoning: str
    tool_calls: list[ToolCallObject]
    call_id: str
    name: str
    pinned: bool
    alternatives: AlternativesOfMessage


class MessageObject(MessageParts):
    """A message.

    `tokens` are those of a prompt's content, or all that the model wrote for a reply.
    """

    number: int
    role: Role
    content: str
    timestamp: str
    tokens: int
    job: str


class MessagePage(TypedDict):
    """Messages, oldest first; `next` is the `before` of the page before, or null."""

    messages: list[MessageObject]
    next: int | None


class AlternativeObject(TypedDict):
    """A tail of a conversation that was replaced: `length` messages, the first 50 of them shown.

    `under` is the id of the alternative to which it belongs, or null; `context` has the
    instructions while it stands.
    """

    id: str
    number: int
    under: str | None
    context: str
    replaced_at: str
    length: int
    messages: list[MessageObject]


class AlternativeList(TypedDict):
    """Alternatives, in the order in which they were sent, or all, in that of being replaced."""

    alternatives: list[AlternativeObject]


class SummaryObject(TypedDict):
    """What the model is told of the turns that have left the window.

    It stands for the messages from `first` to `last`, `turns` with a reply. `model` wrote it; null
    if a person did.
    """

    text: str
    first: int
    last: int
    turns: int
    model: str | None
    made_at: str


class MemoryObject(TypedDict):
    """What is remembered of a conversation beyond its window.

    `memory` is what becomes of turns that leave the window; `window_from` is the number of the
    first message in view. `due`: turns that have left it wait to be added to the summary.
    """

    memory: MemoryMode
    window_from: int
    due: bool
    summary: SummaryObject | None


class ConversationObject(TypedDict):
    """A conversation: number of completed turns, all tokens used, last window, pending jobs.

    `title` is what was set, else the beginning of the first prompt; null while there is neither.
    `model` is the one that a prompt has named last, else that of the last reply; missing while
    there is neither. `memory` is missing where the server's setting decides.
    """

    id: int
    title: str | None
    context: str
    created_at: str
    updated_at: str
    turns: int
    tokens: int
    window: WindowReceipt | None
    pending: list[str]
    pinned: bool
    metadata: dict[str, str]
    model: NotRequired[str]
    memory: NotRequired[MemoryMode]


class ListedConversation(ConversationObject):
    """A conversation in a list; the last two are there if it was searched for.

    `number` is that of the newest message that has all words, null if the title has them.
    """

    number: NotRequired[int | None]
    snippet: NotRequired[str]


class ConversationList(TypedDict):
    """Conversations, last used first; `next` is the `before` of the next page, or null.

    It stays valid when conversations are deleted.
    """

    conversations: list[ListedConversation]
    next: str | None


class FieldError(TypedDict):
    """One wrong field."""

    field: str
    message: str


class ProblemObject(TypedDict):
    """An error (RFC 9457); `errors` for 422, `job` and `id` where a job ended without a reply."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: NotRequired[list[FieldError]]
    job: NotRequired[str]
    id: NotRequired[int]
    prompt_tokens: NotRequired[int]
    budget: NotRequired[int]


def message_object(message: StoredMessage) -> MessageObject:
    """A stored message as clients get it."""
    shown: MessageObject = {
        "number": message.number,
        "role": message.role,
        "content": message.content,
        "timestamp": rfc3339(message.timestamp_ms),
        "tokens": message.tokens,
        "job": message.job_id,
    }
    parts = {
        "finish_reason": message.finish_reason,
        "model": message.model_name,
        "reasoning": message.reasoning,
        "tool_calls": [tool_call_object(call) for call in message.tool_calls],
        "call_id": message.call_id,
        "name": message.name,
        "pinned": message.is_pinned,
    }
    present = {name: value for name, value in parts.items() if value}
    return cast("MessageObject", {**shown, **present})
