"""Wrong fields of a body: what pydantic found, named as the client wrote it."""

from typing import Any, Final

from pydantic import ValidationError

from api.http.errors import Problem

Path = tuple[int | str, ...]

_MAX_ERRORS: Final = 50
"""Wrong fields that one response names; a body can contain a hundred thousand."""
UNKNOWN_FIELD: Final = "there is no such field"
MISSING_FIELD: Final = "Field required"
_MESSAGES: Final = {
    "extra_forbidden": UNKNOWN_FIELD,
    "missing": MISSING_FIELD,
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "tuple_type": "must be a list",
}


def validation_problem(error: ValidationError, body: Any) -> Problem:
    """422 for everything that pydantic found, each field named as the client wrote it."""
    messages: dict[Path, str] = {}
    for item in error.errors(include_url=False, include_input=False)[:_MAX_ERRORS]:
        path = _client_path(item["loc"], body, is_missing=item["type"] == "missing")
        messages.setdefault(path, _message(item))
    errors = [
        {"field": ".".join(map(str, path)), "message": message}
        for path, message in messages.items()
        if not any(_is_within(other, path) for other in messages)
    ]
    detail = "; ".join(
        f"{item['field']}: {item['message']}" if item["field"] else item["message"]
        for item in errors
    )
    return Problem(422, "invalid_request", detail, errors=errors)


def _client_path(loc: Path, body: Any, *, is_missing: bool) -> Path:
    """The path of a field in the client's body.

    pydantic's paths also contain the names of a union's members. Such a name can equal a field's
    (`json_schema`), so every step that does not exist in the body is left out.
    """
    path: list[int | str] = []
    node = body
    for position, step in enumerate(loc):
        if _has(node, step):
            node = node[step]
        elif not (is_missing and position == len(loc) - 1):
            continue
        path.append(step)
    return tuple(path)


def _has(node: Any, step: int | str) -> bool:
    if isinstance(step, int):
        return isinstance(node, list) and step < len(node)
    return isinstance(node, dict) and step in node


def _is_within(path: Path, other: Path) -> bool:
    return len(path) > len(other) and path[: len(other)] == other


def _message(item: Any) -> str:
    match item["type"]:
        case "too_short":
            return f"must have at least {item['ctx']['min_length']} entries"
        case "too_long":
            return f"must have at most {item['ctx']['max_length']} entries"
    return _MESSAGES.get(item["type"]) or str(item["msg"])
