"""Our problems as OpenAI's error objects."""

from typing import Any, Final

import orjson

from api.errors import Dialect, Problem

PREFIX: Final = "/v1/"

_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    409: "conflict_error",
    429: "rate_limit_error",
}
_CODES: Final = {"unauthorized": "invalid_api_key"}
_FIRST_SERVER_ERROR: Final = 500


def error_body(problem: Problem) -> bytes:
    """`{"error": {message, type, param, code}}`, with the job where there is one."""
    kind = _TYPES.get(problem.status, "invalid_request_error")
    if problem.status >= _FIRST_SERVER_ERROR:
        kind = "server_error"
    error: dict[str, Any] = {
        "message": _message(problem),
        "type": kind,
        "param": (problem.errors[0]["field"] or None) if problem.errors else None,
        "code": _CODES.get(problem.code, problem.code),
    }
    return orjson.dumps({"error": error | problem.extra})


def _message(problem: Problem) -> str:
    """Clients tell an overflow of the window by these words."""
    if problem.code != "context_length_exceeded" or "budget" not in problem.extra:
        return problem.detail
    limit = problem.extra["budget"]
    return f"Input tokens exceed the configured limit of {limit} tokens: {problem.detail}"


DIALECT: Final = Dialect(body=error_body, statuses={422: 400})
"""To OpenAI's clients a wrong field is a bad request, as a wrong body is."""
