"""What the fields of requests and answers mean, by the name of their type.

Types that are not listed are described by their docstrings, and sampling options in
`shared/wire/sampling.py`.
"""

from typing import Final

from api.description.dialect_fields import DIALECT_FIELDS

TYPES: Final = {
    "ChatRequest": "One prompt, for a new conversation or for the one that `id` names. Unknown "
    "fields are refused by name. Sampling options that are left out have llama.cpp's defaults.",
    "ReplyObject": "The reply to a prompt.",
    "WindowReceipt": "How much of the conversation the model saw: nothing is ever cut silently.",
    "Usage": "Tokens of a turn.",
    "PromptTokensDetails": "Tokens of the prompt by where they came from.",
    "CompletionTokensDetails": "Tokens of the reply by what they are.",
    "ToolCallObject": "A call of one of the client's tools.",
    "Timings": "How long a turn took, in milliseconds.",
    "JobObject": "A job: the work on one turn.",
    "JobError": "Why a job failed.",
    "JobLinks": "Addresses of a job.",
    "QueuePlace": "Where a turn stands in the queue.",
    "ConversationObject": "A conversation.",
    "ConversationList": "A page of conversations, last used first.",
    "MessageObject": "A message of a conversation.",
    "MessagePage": "A page of messages, oldest first.",
    "ProblemObject": "An error (RFC 9457).",
    "FieldError": "A wrong field.",
    "ChatCompletionRequest": "A conversation to complete, as OpenAI's clients send it. Fields that "
    "ask for nothing (null, empty) are accepted; anything unsupported is refused by name.",
    "ResponsesRequest": "A turn as OpenAI's clients send it. Fields that ask for nothing (null, "
    "empty) are accepted; anything unsupported is refused by name.",
    "Message": "A message of the conversation. Other members of a message that the API returned "
    "are accepted and ignored.",
    "InputMessage": "A message. An output item can be sent back as it is.",
    "InputTokensRequest": "The input of a response whose tokens are to be counted.",
    "TextPart": "Text as a part of a message's content.",
    "StreamOptions": "Options of a stream.",
    "JsonSchema": "A JSON schema that the reply follows.",
    "TextFormat": "Any text.",
    "ObjectFormat": "Any JSON object.",
    "SchemaFormat": "JSON that follows a schema.",
    "ResponseSchemaFormat": "JSON that follows a schema.",
    "TextOptions": "The form of the reply.",
    "Function": "A function that the model may call.",
    "ChatTool": "A tool; only functions are supported.",
    "ResponseTool": "A tool; only functions are supported.",
    "ConversationRef": "A conversation by its id. The id alone works, too.",
    "NewConversation": "A conversation to create.",
    "NewItems": "Messages to add.",
    "ConversationUpdate": "New metadata.",
}

FIELDS: Final[dict[str, dict[str, str]]] = {
    "ChatRequest": {
        "prompt": "What the user says; required unless `continue` is there.",
        "continue": "Needs `id`, without `prompt` and `replace_from`: go on with the last "
        "reply, which was cut (`finish_reason` is `length`) or stopped. The message grows where it "
        "stands, and nothing is evaluated twice. `max_tokens` counts what is added.",
        "id": "The conversation to continue; without it a new one starts.",
        "context": "Instructions for the model. In an existing conversation they replace the old "
        "ones once this turn completes.",
        "replace_from": "Needs `id`: this turn replaces the messages from this number on, once it "
        "completes. For editing and retrying.",
        "reasoning": "How much a reasoning model thinks, as far as its template can be told; "
        "`auto` is the server's setting.",
    },
    "ReplyObject": {
        "id": "The conversation; send it with the next prompt.",
        "context": "Only if the request had one.",
        "timestamp": "When the reply was complete.",
        "numberOfTokens": "The same as `usage.total_tokens`.",
        "job": "The job that made this reply, or the last part of it.",
        "reply": "All of it, also if this turn continued it.",
        "finish_reason": "`length`: cut at `max_tokens` or at the end of the window. `tool_calls`: "
        "the reply ends with calls of tools. `stopped`: its owner wanted no more.",
        "model": "Name of the model.",
        "memory": "What the model saw of messages from before the window. Only if it saw some.",
        "reasoning": "What the model thought, which is never part of `reply`. Only if it thought.",
        "tool_calls": "Calls of the client's tools. Only if there are some.",
        "logprobs": "Of the reply's tokens, if they were asked for.",
        "embeddings": "Of the texts that were to be embedded.",
        "stop_string": "The stop string that ended the reply. Only if one did.",
    },
    "MemoryReceipt": {
        "recalled": "Numbers of the messages that were quoted to it, in part or whole.",
        "recalled_elsewhere": "Messages of your other conversations that were quoted.",
        "pinned": "Numbers of pinned messages.",
    },
    "ToolCallObject": {
        "id": "Its result refers to it.",
        "name": "Name of the tool.",
        "arguments": "JSON text, as the model wrote it.",
    },
    "CompletionTokensDetails": {"reasoning_tokens": "Tokens that the model thought."},
    "Usage": {
        "completion_tokens": "Of the whole reply, also if this turn continued it.",
        "completion_tokens_details": "Only if the model thought.",
    },
    "WindowReceipt": {
        "budget": "Size of the context window in tokens.",
        "used": "Tokens of prompt and reply; never more than `budget`.",
        "turns_kept": "Turns in the prompt, this one included.",
        "turns_dropped": "Earlier turns that did not fit. They stay stored.",
        "max_tokens": "Only if `max_tokens` was cut: what there was room for.",
    },
    "PromptTokensDetails": {"cached_tokens": "Tokens that did not have to be evaluated again."},
    "Timings": {
        "queued_ms": "From acceptance to the start.",
        "prompt_ms": "Evaluating the prompt.",
        "generation_ms": "Generating the reply. All three add up if it was continued, as far as "
        "the jobs before are kept.",
    },
    "JobObject": {
        "id": "The conversation.",
        "attempts": "How many workers have started it.",
        "continues": "True if it goes on with a reply that was cut or stopped.",
        "prompt": "Until it has ended, if it has one.",
        "replace_from": "Until it has ended, if it replaces messages: the number of the first.",
        "queue": "While it is queued.",
        "result": "Once it has completed.",
        "error": "If it failed.",
    },
    "QueuePlace": {
        "position": "1 is the next turn to start.",
        "eta_seconds": "Estimated time until it starts.",
    },
    "ConversationObject": {
        "title": "What was set, else the beginning of the first prompt; null while there is none.",
        "updated_at": "When it was used last.",
        "pinned": "Whether it was pinned. The order of lists does not change with it.",
        "metadata": "Names with texts.",
        "memory": "What becomes of turns that leave the window. Only if it was set.",
        "context": "Instructions for the model.",
        "turns": "Completed turns.",
        "tokens": "All tokens that the conversation has ever used.",
        "window": "Of the last reply.",
        "pending": "Unfinished jobs, in order.",
        "model": "Name of the model that wrote the last reply.",
    },
    "ConversationList": {"next": "`before` of the next page; null on the last one."},
    "MessagePage": {"next": "`before` of the page of older messages; null if there are none."},
    "MessageObject": {
        "number": "Counts from 1. Never reused, except by `replace_from`.",
        "tokens": "Of the content; of a reply all that the model wrote.",
        "finish_reason": "Of a reply, if it is known.",
        "model": "Name of the model that wrote a reply, if it is known.",
        "reasoning": "What the model thought before the reply.",
        "tool_calls": "Tools that the reply calls.",
        "call_id": "Of a tool's result: the call that it answers.",
        "name": "Of a tool's result: the tool, if it is known.",
    },
    "ProblemObject": {
        "code": "Machine-readable reason.",
        "detail": "For people; its wording may change.",
        "errors": "Every wrong field, with status 422.",
        "job": "The job, if there is one.",
        "id": "The job's conversation.",
    },
    "FieldError": {"field": "Path of the field in the request, separated by dots."},
    **DIALECT_FIELDS,
}
