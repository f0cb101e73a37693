"""What a response repeats of its request, stored with its job."""

from typing import Any, Final

import orjson

from api.openai.response_requests import Reasoning, ResponsesRequest

NO_REASONING: Final[dict[str, Any]] = {"effort": None, "summary": None}
_STAND_INS: Final[dict[str, str]] = {"minimal": "low", "max": "xhigh"}
DEFAULT_ECHO: Final[dict[str, Any]] = {
    "text": {"format": {"type": "text"}},
    "reasoning": NO_REASONING,
    "tools": [],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "max_tool_calls": None,
    "top_logprobs": 0,
    "safety_identifier": None,
    "prompt_cache_key": None,
    "include": [],
}
"""For responses that were stored by an older version."""


def echo_of(request: ResponsesRequest) -> str:
    """What the answers repeat, as JSON text."""
    parallel = request.parallel_tool_calls
    echo = {
        "instructions": request.instructions,
        "previous_response_id": request.previous_response_id,
        "store": request.is_stored,
        "background": bool(request.background),
        "truncation": request.truncation or "disabled",
        "metadata": request.metadata or {},
        "text": {"format": request.format}
        | ({"verbosity": request.text.verbosity} if request.text.verbosity else {}),
        "reasoning": _reasoning(request.reasoning),
        "tools": [tool.echo() for tool in request.tools],
        "tool_choice": request.tool_choice.echo if request.tool_choice else "auto",
        "parallel_tool_calls": True if parallel is None else parallel,
        "max_tool_calls": request.max_tool_calls,
        "top_logprobs": request.top_logprobs or 0,
        "include": request.include,
        "safety_identifier": request.safety_identifier,
        "prompt_cache_key": request.prompt_cache_key,
        "user": request.user,
    }
    return orjson.dumps(echo).decode()


def _reasoning(reasoning: Reasoning | None) -> dict[str, Any]:
    """With the effort that stands for the requested one, where the specification lacks that."""
    if reasoning is None:
        return NO_REASONING
    effort = reasoning.effort
    return {
        "effort": _STAND_INS.get(effort, effort) if effort is not None else None,
        "summary": reasoning.summary,
    }
