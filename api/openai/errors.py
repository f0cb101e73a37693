"""Our problems as OpenAI's error objects."""

from typing import Any, Final

import orjson

from api.errors import Problem

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
        "message": problem.detail,
        "type": kind,
        "param": (problem.errors[0]["field"] or None) if problem.errors else None,
        "code": _CODES.get(problem.code, problem.code),
    }
    return orjson.dumps({"error": error | problem.extra})
