"""What the fields of requests and answers mean, by the name of their type.

Types that are not listed are described by their docstrings, and sampling options in
`shared/wire/sampling.py`.
"""

from typing import Final

from shared.wire.sampling import FullSampling

_ACCEPTED_ONLY: Final = "Accepted for compatibility; it has no effect."


def _of_option(name: str) -> str:
    """The words of a sampling option, for a field that stands in for it."""
    return FullSampling.model_fields[name].description or ""


_TOOLS: Final = "Functions that the model may call; only if its chat template knows tools."
_TOOL_CHOICE: Final = (
    "Whether tools are called: `auto`, `none`, `required`, one by its name, or some of them "
    "(`allowed_tools`)."
)
_PARALLEL: Final = "Whether several tools may be called at once; true by default."
_EFFORT: Final = "How much the model thinks, as far as its chat template can be told."
_TEMPLATE: Final = "Variables of the model's chat template, such as `enable_thinking`."
_INPUT: Final = {
    "model": "Any name: there is one model.",
    "input": "What the user says: text, or items of which the last one is the user's message or "
    "the result of a call.",
    "instructions": "Instructions for this response only.",
    "previous_response_id": "Continue after this response.",
    "truncation": "`auto` drops the oldest turns of a conversation that does not fit the "
    "context window; `disabled`, the default, is an error instead.",
    "text": "The form of the reply. A schema is followed exactly or refused.",
    "reasoning": "How much the model thinks, and how its thoughts are shown.",
    "tools": _TOOLS,
    "tool_choice": _TOOL_CHOICE,
    "parallel_tool_calls": _PARALLEL,
    "chat_template_kwargs": _TEMPLATE,
}
"""Of a response's input."""
_BOOKKEEPING: Final = (
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "service_tier",
)
_COUNTED: Final = {
    "model": "Any name: there is one model.",
    "messages": "The whole conversation. If an assistant's message comes last, the reply "
    "continues it.",
    "system": "Instructions for the model.",
    "tools": "Tools of the client that the model may call.",
    "tool_choice": "Whether tools may or must be called; `auto` if it is left out.",
    "thinking": "How much the model thinks, as far as its template can be told: a larger budget "
    "is a higher degree. The server's setting if it is left out.",
    "output_config": "A JSON schema that the reply follows, and how much the model thinks.",
    "cache_control": _ACCEPTED_ONLY,
}

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
    "ConversationList": "A page of conversations, newest first.",
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
        "prompt": "What the user says.",
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
        "job": "The job that made this reply.",
        "finish_reason": "`length`: cut at `max_tokens` or at the end of the window. `tool_calls`: "
        "the reply ends with calls of tools.",
        "model": "Name of the model.",
        "reasoning": "What the model thought, which is never part of `reply`. Only if it thought.",
        "tool_calls": "Calls of the client's tools. Only if there are some.",
        "logprobs": "Of the reply's tokens, if they were asked for.",
        "embeddings": "Of the texts that were to be embedded.",
        "stop_string": "The stop string that ended the reply. Only if one did.",
    },
    "ToolCallObject": {
        "id": "Its result refers to it.",
        "name": "Name of the tool.",
        "arguments": "JSON text, as the model wrote it.",
    },
    "CompletionTokensDetails": {"reasoning_tokens": "Tokens that the model thought."},
    "Usage": {"completion_tokens_details": "Only if the model thought."},
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
        "generation_ms": "Generating the reply.",
    },
    "JobObject": {
        "id": "The conversation.",
        "attempts": "How many workers have started it.",
        "queue": "While it is queued.",
        "result": "Once it has completed.",
        "error": "If it failed.",
    },
    "QueuePlace": {
        "position": "1 is the next turn to start.",
        "eta_seconds": "Estimated time until it starts.",
    },
    "ConversationObject": {
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
    "ChatCompletionRequest": {
        "model": "Any name: there is one model.",
        "messages": "The whole conversation. A last message of the assistant is continued.",
        "stream": "Send the reply in chunks.",
        "max_completion_tokens": "The same as `max_tokens`; send one of them.",
        "response_format": "The form of the reply. A schema is followed exactly or refused.",
        "seed": _of_option("seed") + " Each of `n` replies has a seed of its own.",
        "logit_bias": "Added to the logits of tokens, by token id.",
        "stream_options": "Only with `stream`.",
        "n": "How many replies. The prompt's tokens count once.",
        "tools": _TOOLS,
        "tool_choice": _TOOL_CHOICE,
        "parallel_tool_calls": _PARALLEL,
        "functions": "The older form of `tools`; at most one is called.",
        "function_call": "The older form of `tool_choice`.",
        "logprobs": "Report the probabilities of the text's tokens.",
        "top_logprobs": "Needs `logprobs`: alternatives for each token.",
        "reasoning_effort": _EFFORT,
        "chat_template_kwargs": _TEMPLATE,
        **dict.fromkeys(
            (
                "user",
                "store",
                "metadata",
                "modalities",
                "service_tier",
                "safety_identifier",
                "prompt_cache_key",
                "prompt_cache_retention",
                "verbosity",
            ),
            _ACCEPTED_ONLY,
        ),
    },
    "ResponsesRequest": _INPUT
    | {
        "conversation": "Continue this conversation.",
        "store": "Whether the response can be looked up and continued later; true by default.",
        "background": "Answer at once; look the response up later.",
        "stream": "Send the response's events.",
        "metadata": "Up to 16 labels, returned with the response.",
        "max_output_tokens": _of_option("max_tokens"),
        "stream_options": "Only with `stream`.",
        "include": "What to add: thoughts as `encrypted_content`, probabilities of the tokens.",
        "top_logprobs": "Alternatives for each token; above 0 it implies their probabilities.",
        "max_tool_calls": "Accepted: it limits tools of the server, of which there are none.",
        **dict.fromkeys(
            (
                "user",
                "service_tier",
                "safety_identifier",
                "prompt_cache_key",
                "prompt_cache_retention",
            ),
            _ACCEPTED_ONLY,
        ),
    },
    "InputTokensRequest": _INPUT,
    "Reasoning": {
        "effort": _EFFORT,
        "summary": "Show thoughts as their own summary, too.",
    },
    "NewConversation": {
        "items": "Its first messages.",
        "metadata": "Up to 16 labels.",
    },
    "NewItems": {"items": "Messages to add, oldest first."},
    "ConversationUpdate": {"metadata": "Up to 16 labels; they replace the old ones."},
    "CompletionRequest": {
        "model": "Any name: there is one model.",
        "prompt": "The text to continue, or up to 8 of them.",
        "stream": "Send the text in chunks.",
        "stream_options": "Only with `stream`.",
        "n": "Choices for each prompt.",
        "logprobs": "How many alternatives to report for each token.",
        "seed": _of_option("seed"),
        "echo": "Not supported; only `false` is accepted.",
        "best_of": "One; more are not supported.",
        "suffix": "Not supported; only an empty one is accepted.",
        **dict.fromkeys(_BOOKKEEPING, _ACCEPTED_ONLY),
    },
    "EmbeddingsRequest": {
        "model": "Any name: there is one model.",
        "input": "A text, or a list of them.",
        "encoding_format": "`float`, the default, or `base64`: 32-bit floats, little-endian.",
        "dimensions": "Accepted if it is what the model's vectors have.",
        **dict.fromkeys(_BOOKKEEPING, _ACCEPTED_ONLY),
    },
    "CountTokensRequest": _COUNTED,
    "MessagesRequest": _COUNTED
    | {
        "max_tokens": "Tokens of the reply at most, thoughts included. More than this server "
        "allows is cut to that.",
        "stream": "Send the reply as events.",
        "stop_sequences": _of_option("stop"),
        "temperature": _of_option("temperature"),
        "top_p": _of_option("top_p"),
        "top_k": _of_option("top_k"),
        "metadata": _ACCEPTED_ONLY,
        "service_tier": _ACCEPTED_ONLY,
    },
    "OpenAiErrorDetails": {
        "message": "For people; its wording may change.",
        "param": "The field that is wrong, as the client wrote it.",
        "code": "Machine-readable reason.",
        "job": "The job, if there is one.",
        "id": "The job's conversation.",
    },
}
