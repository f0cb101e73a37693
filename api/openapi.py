"""`/openapi.json`, generated from the table of routes and the types that it names."""

import http
from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from api.description.problems import PROBLEMS, REFUSED_REQUEST
from api.description.route import Answer, Body, Operation, Parameter, Route, Security
from api.description.schemas import SCHEMA_REF, list_error_codes, schemas_of
from api.description.tags import INTRODUCTION, TAGS
from api.dialects import ERROR_DIALECTS, error_dialect_of
from api.http.errors import PROBLEM_JSON, Problem
from api.routes import ROUTES
from shared.config import Settings
from shared.wire.objects import ProblemObject

_KEY: Final = "ApiKey"
_HTML: Final = "text/html"
_EVENT_STREAM: Final = "text/event-stream"
_EXAMPLE_REF: Final = "#/components/examples/{}"
_ASK_LATER: Final = ("429", "503")


def openapi_document(settings: Settings, version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 description of everything this server answers."""
    has_keys = settings.api_keys_file is not None
    examples = _error_examples()
    schemas = schemas_of(_kinds(), settings)
    list_error_codes(schemas, [example["value"] for example in examples.values()])
    components: dict[str, Any] = {"schemas": schemas, "examples": examples}
    if has_keys:
        components["securitySchemes"] = {
            _KEY: {
                "type": "http",
                "scheme": "bearer",
                "description": "An API key. `x-api-key` is read as well.",
            }
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Palaver",
            "version": version,
            "summary": "A chat backend that remembers.",
            "description": INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": {route.path: _path_item(route, has_keys) for route in ROUTES if route.operations},
        "components": components,
    }


def _path_item(route: Route, has_keys: bool) -> dict[str, Any]:
    return {
        operation.method.lower(): _operation(route, operation, has_keys)
        for operation in route.operations
    }


def _operation(route: Route, operation: Operation, has_keys: bool) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
    }
    if operation.description:
        described["description"] = operation.description
    if parameters := (*route.parameters, *operation.parameters):
        described["parameters"] = [_parameter(each) for each in parameters]
    if operation.body is not None:
        described["requestBody"] = _body(operation.body)
    if has_keys:
        described["security"] = [{_KEY: []}] if route.needs_key(operation) else []
    answers = {str(answer.status): _answer(answer) for answer in operation.answers}
    return described | {"responses": answers | _errors(route, operation, has_keys)}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "schema": dict(parameter.schema),
    }
    if parameter.place == "path" or parameter.is_required:
        described["required"] = True
    if parameter.example is not None:
        described["example"] = parameter.example
    return described


def _body(body: Body) -> dict[str, Any]:
    examples = {
        summary: {"summary": summary, "value": value} for summary, value in body.examples.items()
    }
    return {
        "required": True,
        "description": "Read as JSON whatever its content type says.",
        "content": {"application/json": {"schema": _ref(body.kind), "examples": examples}},
    }


def _answer(answer: Answer) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if answer.kind is not None:
        content["application/json"] = {"schema": _ref(answer.kind)}
        if answer.example is not None:
            content["application/json"]["example"] = answer.example
    if answer.events:
        content[_EVENT_STREAM] = {
            # OpenAPI 3.1 cannot describe the events of a stream: a schema would be for all of it.
            "example": answer.stream_example,
            "x-events": {name: _ref(kind) for name, kind in answer.events.items()},
        }
    if answer.media_type is not None:
        content[answer.media_type] = {"schema": {"type": "string"}}
    described: dict[str, Any] = {"description": answer.description}
    if content:
        described["content"] = content
    if answer.headers:
        described["headers"] = {
            name: _header(description) for name, description in answer.headers.items()
        }
    return described


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


def _errors(route: Route, operation: Operation, has_keys: bool) -> dict[str, Any]:
    by_status: dict[str, list[str]] = {}
    for code in _error_codes(route, operation, has_keys):
        by_status.setdefault(_error_status(route, code), []).append(code)
    errors = {status: _error(route, status, codes) for status, codes in sorted(by_status.items())}
    if "401" in errors and route.security is Security.KEYED_PAGE:
        errors["401"]["content"][_HTML] = {"schema": {"type": "string"}}
    return errors


def _error_codes(route: Route, operation: Operation, has_keys: bool) -> Iterator[str]:
    yield from dict.fromkeys(operation.problems)
    if not route.takes_any_host:
        yield from REFUSED_REQUEST
    asks_for_key = has_keys and route.needs_key(operation)
    if asks_for_key:
        yield "unauthorized"
    if has_keys and route.security.needs_operator:
        yield "operator_required"
    if asks_for_key or "not_found" in operation.problems:
        yield "too_many_misses"


def _error_status(route: Route, code: str) -> str:
    status = PROBLEMS[code].status
    spoken = error_dialect_of(route.path)
    return str(status if spoken is None else spoken.dialect.statuses.get(status, status))


def _error(route: Route, status: str, codes: Iterable[str]) -> dict[str, Any]:
    media_type, schema, prefix = PROBLEM_JSON, _ref(ProblemObject), ""
    if (spoken := error_dialect_of(route.path)) is not None:
        media_type, schema, prefix = "application/json", _ref(spoken.kind), spoken.name
    examples = {code: {"$ref": _EXAMPLE_REF.format(prefix + code)} for code in codes}
    error: dict[str, Any] = {
        "description": http.HTTPStatus(int(status)).phrase,
        "content": {media_type: {"schema": schema, "examples": examples}},
    }
    if status in _ASK_LATER:
        error["headers"] = {"Retry-After": _header("Seconds to wait before trying again.")}
    return error


def _error_examples() -> dict[str, Any]:
    """Each error as it is sent, in every dialect."""
    examples = {}
    for code, described in PROBLEMS.items():
        extra = dict(described.extra)
        errors = extra.pop("errors", ())
        problem = Problem(described.status, code, described.detail, errors=errors, extra=extra)
        bodies = {"": problem.body()}
        bodies |= {each.name: each.dialect.body(problem) for each in ERROR_DIALECTS.values()}
        for prefix, body in bodies.items():
            examples[prefix + code] = {"summary": described.when, "value": orjson.loads(body)}
    return examples


def _kinds() -> set[type]:
    """Every type that the routes and their errors name."""
    kinds: set[type] = {ProblemObject, *(each.kind for each in ERROR_DIALECTS.values())}
    for operation in (operation for route in ROUTES for operation in route.operations):
        if operation.body is not None:
            kinds.add(operation.body.kind)
        for answer in operation.answers:
            kinds.update(answer.events.values())
            if answer.kind is not None:
                kinds.add(answer.kind)
    return kinds


def _ref(kind: type) -> dict[str, str]:
    return {"$ref": SCHEMA_REF.format(model=kind.__name__)}
