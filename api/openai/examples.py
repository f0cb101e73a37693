"""Examples of OpenAI's objects for `/openapi.json`."""

from typing import Any, Final

MODEL_NAME: Final = "smollm2-135m-instruct"
JOB_ID: Final = "01a20468ad556c9e281ab26b9b22bda1"
RESPONSE_ID: Final = f"resp_{JOB_ID}"
CONVERSATION_ID: Final = "conv_8543490280686788"
CREATED: Final = 1795370299
USAGE: Final = {
    "prompt_tokens": 31,
    "completion_tokens": 9,
    "total_tokens": 40,
    "prompt_tokens_details": {"cached_tokens": 24},
}
MODEL: Final = {
    "id": MODEL_NAME,
    "object": "model",
    "created": 0,
    "owned_by": "palaver",
    "context_length": 3500,
    "max_model_len": 3500,
    "workers": 1,
    "capabilities": ["chat"],
}
COMPLETION: Final = {
    "id": f"chatcmpl-{JOB_ID}",
    "object": "chat.completion",
    "created": CREATED,
    "model": MODEL_NAME,
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Akira Kurosawa.", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": USAGE,
}
CHUNKS: Final = (
    'data: {"object": "chat.completion.chunk", '
    '"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, …}], …}\n\n'
    'data: {"object": "chat.completion.chunk", '
    '"choices": [{"index": 0, "delta": {"content": "Akira Kurosawa."}, …}], …}\n\n'
    'data: {"object": "chat.completion.chunk", '
    '"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", …}], …}\n\n'
    "data: [DONE]\n\n"
)
INPUT_ITEM: Final = {
    "id": f"msg_{JOB_ID}u",
    "type": "message",
    "status": "completed",
    "role": "user",
    "content": [{"type": "input_text", "text": "Name a famous person."}],
}
OUTPUT_ITEM: Final = {
    "id": f"msg_{JOB_ID}a",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [
        {"type": "output_text", "text": "Akira Kurosawa.", "annotations": [], "logprobs": []}
    ],
}
RESPONSE: Final[dict[str, Any]] = {
    "id": RESPONSE_ID,
    "object": "response",
    "created_at": CREATED,
    "completed_at": CREATED + 1,
    "status": "completed",
    "background": False,
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "model": MODEL_NAME,
    "output": [OUTPUT_ITEM],
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "conversation": {"id": CONVERSATION_ID},
    "store": True,
    "temperature": 0.8,
    "top_p": 0.95,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "top_logprobs": 0,
    "text": {"format": {"type": "text"}},
    "reasoning": {"effort": None, "summary": None},
    "tool_choice": "auto",
    "tools": [],
    "truncation": "disabled",
    "usage": {
        "input_tokens": 31,
        "input_tokens_details": {"cached_tokens": 24, "cache_write_tokens": 0},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 40,
    },
    "service_tier": "default",
    "safety_identifier": None,
    "prompt_cache_key": None,
    "user": None,
    "metadata": {},
    "window": {"budget": 3500, "used": 40, "turns_kept": 1, "turns_dropped": 0},
}
CANCELLED: Final = RESPONSE | {
    "completed_at": None,
    "status": "cancelled",
    "background": True,
    "output": [],
    "usage": None,
    "window": None,
}
RESPONSE_STREAM: Final = (
    "event: response.created\n"
    'data: {"type": "response.created", "sequence_number": 0, "response": {…}}\n\n'
    "event: response.output_text.delta\n"
    'data: {"type": "response.output_text.delta", "sequence_number": 5, '
    '"delta": "Akira Kurosawa.", …}\n\n'
    "event: response.completed\n"
    'data: {"type": "response.completed", "sequence_number": 9, "response": {…}}\n\n'
)
CONVERSATION: Final = {
    "id": CONVERSATION_ID,
    "object": "conversation",
    "created_at": CREATED,
    "metadata": {"topic": "cinema"},
}
INPUT_ITEMS: Final = {
    "object": "list",
    "data": [INPUT_ITEM],
    "first_id": f"msg_{JOB_ID}u",
    "last_id": f"msg_{JOB_ID}u",
    "has_more": False,
}
ITEMS: Final = {
    "object": "list",
    "data": [OUTPUT_ITEM, INPUT_ITEM],
    "first_id": f"msg_{JOB_ID}a",
    "last_id": f"msg_{JOB_ID}u",
    "has_more": False,
}
