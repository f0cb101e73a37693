"""`/openapi.json`, generated from the table of routes and the types that it names."""

import http
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

import orjson
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from api.description.fields import FIELDS, TYPES
from api.description.problems import PROBLEMS, REFUSED_REQUEST
from api.description.route import Answer, Body, Operation, Parameter, Route, Security
from api.description.tags import INTRODUCTION, TAGS
from api.http.errors import PROBLEM_JSON, Problem
from api.openai.errors import DIALECT, PREFIX, error_body
from api.openai.schemas import OpenAiError
from api.routes import ROUTES
from shared.config import Settings
from shared.wire.objects import ProblemObject
from shared.wire.requests import ChatRequest

_KEY: Final = "ApiKey"
_HTML: Final = "text/html"
_EVENT_STREAM: Final = "text/event-stream"
_SCHEMA_REF: Final = "#/components/schemas/{model}"
_EXAMPLE_REF: Final = "#/components/examples/{}"
_OPENAI_FIELD_CODES: Final = ("invalid_value", "missing_required_parameter", "unknown_parameter")
_ASK_LATER: Final = ("429", "503")


def openapi_document(settings: Settings, version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 description of everything this server answers."""
    has_keys = settings.api_keys_file is not None
    components: dict[str, Any] = {"schemas": _schemas(settings), "examples": _error_examples()}
    if has_keys:
        components["securitySchemes"] = {
            _KEY: {"type": "http", "scheme": "bearer", "description": "An API key."}
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
    if parameter.place == "path":
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
    if asks_for_key or "not_found" in operation.problems:
        yield "too_many_misses"


def _speaks_openai(route: Route) -> bool:
    return route.path.startswith(PREFIX)


def _error_status(route: Route, code: str) -> str:
    status = PROBLEMS[code].status
    return str(DIALECT.statuses.get(status, status) if _speaks_openai(route) else status)


def _error(route: Route, status: str, codes: Iterable[str]) -> dict[str, Any]:
    if _speaks_openai(route):
        media_type, schema, prefix = "application/json", _ref(OpenAiError), "openai_"
    else:
        media_type, schema, prefix = PROBLEM_JSON, _ref(ProblemObject), ""
    examples = {code: {"$ref": _EXAMPLE_REF.format(prefix + code)} for code in codes}
    error: dict[str, Any] = {
        "description": http.HTTPStatus(int(status)).phrase,
        "content": {media_type: {"schema": schema, "examples": examples}},
    }
    if status in _ASK_LATER:
        error["headers"] = {"Retry-After": _header("Seconds to wait before trying again.")}
    return error


def _error_examples() -> dict[str, Any]:
    """Each error as it is sent, in both dialects."""
    examples = {}
    for code, described in PROBLEMS.items():
        extra = dict(described.extra)
        errors = extra.pop("errors", ())
        problem = Problem(described.status, code, described.detail, errors=errors, extra=extra)
        for prefix, body in (("", problem.body()), ("openai_", error_body(problem))):
            examples[prefix + code] = {"summary": described.when, "value": orjson.loads(body)}
    return examples


class _SchemaWithoutTitles(GenerateJsonSchema):
    """Without the titles that pydantic makes of fields' names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def _schemas(settings: Settings) -> dict[str, Any]:
    """The schema of every type that a route names, and of those in it."""
    inputs: list[tuple[str, Literal["validation"], TypeAdapter[Any]]] = [
        (kind.__name__, "validation", TypeAdapter(kind)) for kind in sorted(_kinds(), key=_name)
    ]
    _, definitions = TypeAdapter.json_schemas(
        inputs, ref_template=_SCHEMA_REF, schema_generator=_SchemaWithoutTitles
    )
    schemas: dict[str, Any] = definitions["$defs"]
    _say_when_absent(schemas[ChatRequest.__name__])
    if settings.max_tokens_limit != settings.context_length:
        limit = settings.max_tokens_limit
        schemas[ChatRequest.__name__]["properties"]["max_tokens"]["maximum"] = limit
    for name, schema in schemas.items():
        _add_words(name, schema)
    _list_codes(schemas)
    return schemas


def _kinds() -> set[type]:
    """Every type that the routes and their errors name."""
    kinds: set[type] = {ProblemObject, OpenAiError}
    for operation in (operation for route in ROUTES for operation in route.operations):
        if operation.body is not None:
            kinds.add(operation.body.kind)
        for answer in operation.answers:
            kinds.update(answer.events.values())
            if answer.kind is not None:
                kinds.add(answer.kind)
    return kinds


def _name(kind: type) -> str:
    return kind.__name__


def _ref(kind: type) -> dict[str, str]:
    return {"$ref": _SCHEMA_REF.format(model=kind.__name__)}


def _say_when_absent(schema: dict[str, Any]) -> None:
    """Absent is not null: drop pydantic's `anyOf: [..., null]` and `default: null`."""
    for name, field in schema["properties"].items():
        options = [option for option in field.get("anyOf", ()) if option != {"type": "null"}]
        if len(options) > 1:
            field = field | {"anyOf": options}
        if len(options) == 1:
            field = {key: value for key, value in field.items() if key != "anyOf"} | options[0]
        if field.get("default", 0) is None:
            del field["default"]
        schema["properties"][name] = field


def _add_words(name: str, schema: dict[str, Any]) -> None:
    """Say what a type and its fields mean; without words of its own it keeps its docstring."""
    schema.pop("title", None)
    text = TYPES.get(name) or schema.get("description", "")
    schema["description"] = " ".join(text.split())
    for field, description in FIELDS.get(name, {}).items():
        schema["properties"][field]["description"] = description


def _list_codes(schemas: dict[str, Any]) -> None:
    schemas["ProblemObject"]["properties"]["code"]["enum"] = sorted(PROBLEMS)
    examples = _error_examples()
    codes = {examples[f"openai_{code}"]["value"]["error"]["code"] for code in PROBLEMS}
    schemas["OpenAiErrorDetails"]["properties"]["code"]["enum"] = sorted(
        codes.union(_OPENAI_FIELD_CODES)
    )
