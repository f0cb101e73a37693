"""Problems as Anthropic's error objects."""

from typing import Any, Final

import orjson

from api.http.errors import Dialect, Problem
from shared.process.logs import CONTEXT

PREFIX: Final = "/v1/messages"

_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_FIRST_SERVER_ERROR: Final = 500


def error_object(problem: Problem) -> dict[str, Any]:
    """`{"type": "error", "error": {type, message, code}, "request_id"}`.

    Anthropic's API has no `code`; its clients ignore it, and people can look it up.
    """
    default = "api_error" if problem.status >= _FIRST_SERVER_ERROR else "invalid_request_error"
    error = {
        "type": _TYPES.get(problem.status, default),
        "message": _message_of(problem),
        "code": problem.code,
    }
    return {
        "type": "error",
        "error": error | problem.extra,
        "request_id": CONTEXT.get().get("request"),
    }


def error_body(problem: Problem) -> bytes:
    """The error object as JSON."""
    return orjson.dumps(error_object(problem))


def _message_of(problem: Problem) -> str:
    """The text of an error: clients recognise an overflow of the window by these words."""
    extra = problem.extra
    if problem.code == "context_length_exceeded" and "budget" in extra:
        return (
            f"prompt is too long: {extra['prompt_tokens']} tokens > {extra['budget']} maximum: "
            f"{problem.detail}"
        )
    return problem.detail


DIALECT: Final = Dialect(body=error_body, statuses={422: 400})
"""Anthropic answers 400 to a wrong field."""
