"""Problems as OpenAI's error objects."""

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from api.http.errors import Dialect, Problem
from api.http.validation import MISSING_FIELD, UNKNOWN_FIELD
from api.openai.ids import RESPONSE
from shared.wire.submission import Accepted

PREFIX: Final = "/v1/"

_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    409: "conflict_error",
    429: "rate_limit_error",
}
_CODES: Final = {"unauthorized": "invalid_api_key"}
_PARAMS: Final = {
    "previous_response_not_found": "previous_response_id",
    "model_not_found": "model",
    "no_embeddings": "model",
}
_FIELD_CODES: Final = {
    UNKNOWN_FIELD: "unknown_parameter",
    MISSING_FIELD: "missing_required_parameter",
}
_FIELD_MESSAGES: Final = {
    UNKNOWN_FIELD: "Unknown parameter: '{param}'.",
    MISSING_FIELD: "Missing required parameter: '{param}'.",
}
_INDEX: Final = re.compile(r"\.(\d+)(?=\.|$)")
_FIRST_SERVER_ERROR: Final = 500


def error_body(problem: Problem) -> bytes:
    """`{"error": {message, type, param, code}}`, with the job where there is one.

    Of several wrong fields it names the first, as OpenAI's API does.
    """
    kind = _TYPES.get(problem.status, "invalid_request_error")
    if problem.status >= _FIRST_SERVER_ERROR:
        kind = "server_error"
    error: dict[str, Any] = {
        "message": message_of(problem.code, problem.detail, problem.extra),
        "type": kind,
        "param": _PARAMS.get(problem.code),
        "code": _CODES.get(problem.code, problem.code),
    }
    if problem.errors:
        error |= _of_field(problem.errors[0]["field"], problem.errors[0]["message"])
    return orjson.dumps({"error": error | problem.extra})


def _of_field(field: str, message: str) -> dict[str, Any]:
    param = _INDEX.sub(r"[\1]", field)
    template = _FIELD_MESSAGES.get(
        message, "Invalid value for '{param}': {message}." if param else "{message}"
    )
    return {
        "message": template.format(param=param, message=message),
        "param": param or None,
        "code": _FIELD_CODES.get(message, "invalid_value"),
    }


def message_of(code: str, detail: str, numbers: Mapping[str, Any]) -> str:
    """The text of an error: clients recognise an overflow of the window by these words."""
    if code != "context_length_exceeded" or "budget" not in numbers:
        return detail
    return f"Input tokens exceed the configured limit of {numbers['budget']} tokens: {detail}"


def no_outcome(accepted: Accepted, *, may_retry: bool) -> Problem:
    """503: this server stops and cannot wait for a turn any longer.

    Args:
        may_retry: whether the turn ends with this answer. One that continues must not be repeated.
    """
    if may_retry:
        return Problem(503, "no_outcome", "this server is stopping; try again", retry_after_s=1)
    return Problem(
        503,
        "no_outcome",
        "this server is stopping; the response continues",
        retry_after_s=1,
        headers={"x-should-retry": "false"},
        extra={"response": f"{RESPONSE}{accepted.job_id}"},
    )


DIALECT: Final = Dialect(body=error_body, statuses={422: 400})
"""OpenAI answers 400 to a wrong field, as it does to a wrong body."""
