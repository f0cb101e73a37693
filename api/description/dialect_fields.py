"""What the fields of OpenAI's and Anthropic's requests mean, by the name of their type."""

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
    "conversation": "Continue this conversation.",
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
    "prompt_cache_options",
    "service_tier",
)
_BIASES: Final = "Added to the logits of tokens, by token id."
_COUNTED: Final = {
    "model": "Any name: there is one model.",
    "messages": "The whole conversation. If an assistant's message comes last, the reply "
    "continues it.",
    "system": "Instructions for the model.",
    "tools": "Tools of the client that the model may call.",
    "tool_choice": "Whether tools may or must be called; `auto` if it is left out.",
    "thinking": "Whether and how much the model thinks; a budget is its longest thought in tokens. "
    "The server's setting if it is left out.",
    "output_config": "A JSON schema that the reply follows, and how much the model thinks.",
    "speed": _ACCEPTED_ONLY,
    "cache_control": _ACCEPTED_ONLY,
}

DIALECT_FIELDS: Final[dict[str, dict[str, str]]] = {
    "ChatCompletionRequest": {
        "model": "Any name: there is one model.",
        "messages": "The whole conversation. A last message of the assistant is continued.",
        "stream": "Send the reply in chunks.",
        "max_completion_tokens": "The same as `max_tokens`; send one of them.",
        "response_format": "The form of the reply. A schema is followed exactly or refused.",
        "seed": _of_option("seed") + " Each of `n` replies has a seed of its own.",
        "logit_bias": _BIASES,
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
            (*_BOOKKEEPING, "store", "metadata", "modalities", "verbosity", "prediction"),
            _ACCEPTED_ONLY,
        ),
    },
    "ResponsesRequest": _INPUT
    | {
        "store": "Whether the response can be looked up and continued later; true by default.",
        "background": "Answer at once; look the response up later.",
        "stream": "Send the response's events.",
        "metadata": "Up to 16 labels, returned with the response.",
        "max_output_tokens": _of_option("max_tokens"),
        "stream_options": "Only with `stream`.",
        "include": "What to add: thoughts as `encrypted_content`, probabilities of the tokens.",
        "top_logprobs": "Alternatives for each token; above 0 it implies their probabilities.",
        "max_tool_calls": "Accepted: it limits tools of the server, of which there are none.",
        **dict.fromkeys((*_BOOKKEEPING, "background_options"), _ACCEPTED_ONLY),
    },
    "InputTokensRequest": _INPUT,
    "Reasoning": {
        "effort": _EFFORT,
        "summary": "Show thoughts as their own summary, too.",
        **dict.fromkeys(("context", "mode"), _ACCEPTED_ONLY),
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
        "logit_bias": _BIASES,
        "best_of": "The same as `n`; more are not supported.",
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
        "inference_geo": _ACCEPTED_ONLY,
    },
    "OpenAiErrorDetails": {
        "message": "For people; its wording may change.",
        "param": "The field that is wrong, as the client wrote it.",
        "code": "Machine-readable reason.",
        "job": "The job, if there is one.",
        "id": "The job's conversation.",
    },
}
