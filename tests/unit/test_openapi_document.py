"""The OpenAPI document agrees with itself, with the routes, and with the errors in the sources."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import api
from api.description.fields import FIELDS, TYPES
from api.description.problems import PROBLEMS
from api.description.route import Answer, Operation, Route
from api.http.errors import to_problem
from api.openapi import openapi_document
from api.routes import ROUTES, add_routes
from shared import errors
from tests.servers import make_settings

NEVER_SENT = {"client_left"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi_document(make_settings("unix:///unused"), "1.2.3")


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The document of a server with API keys."""
    keys = tmp_path_factory.mktemp("keys") / "keys.json"
    settings = make_settings("unix:///unused", PALAVER_API_KEYS_FILE=keys)
    return openapi_document(settings, "1.2.3")


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def validate(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    """Check a value against a schema that refers to the document's components."""
    Draft202012Validator({"components": document["components"], **schema}).validate(value)


def contents(operation: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    """Every JSON schema of an operation with each of its examples."""
    holders = [operation.get("requestBody", {}), *operation["responses"].values()]
    for holder in holders:
        for media_type, content in holder.get("content", {}).items():
            if "json" in media_type:
                examples = [*content.get("examples", {}).values()]
                if "example" in content:
                    examples.append({"value": content["example"]})
                for example in examples:
                    yield content["schema"], example


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    count = 0
    for _, _, operation in operations(document):
        for schema, example in contents(operation):
            if "$ref" in example:
                example = document["components"]["examples"][example["$ref"].rpartition("/")[2]]
            validate(document, schema, example["value"])
            count += 1
        for parameter in operation.get("parameters", ()):
            if "example" in parameter:
                validate(document, parameter["schema"], parameter["example"])
    assert count > 300


def test_every_error_example_has_its_status(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            for content in answer.get("content", {}).values():
                for code in content.get("examples", {}):
                    described = PROBLEMS[code].status
                    if path.startswith("/v1/") and described == 422:
                        described = 400
                    assert str(described) == status, (path, code)


def test_operation_ids_are_unique_and_every_operation_has_a_known_tag(
    document: dict[str, Any],
) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    tags = {tag["name"] for tag in document["tags"]}
    assert {tag for *_, operation in operations(document) for tag in operation["tags"]} == tags
    for *_, operation in operations(document):
        assert operation["summary"]
        assert not operation["summary"].endswith(".")


def test_every_schema_says_what_it_is(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert schema["description"], name


def test_every_field_of_a_body_is_explained(document: dict[str, Any]) -> None:
    bodies = {
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        for *_, operation in operations(document)
        if "requestBody" in operation
    }
    assert len(bodies) >= 7
    for reference in bodies:
        name = reference.rpartition("/")[2]
        for field, schema in document["components"]["schemas"][name]["properties"].items():
            assert schema.get("description"), (name, field)


def test_only_types_that_exist_are_explained(document: dict[str, Any]) -> None:
    assert TYPES.keys() | FIELDS.keys() <= document["components"]["schemas"].keys()


def test_without_keys_nothing_asks_for_one(document: dict[str, Any]) -> None:
    assert "securitySchemes" not in document["components"]
    for path, _, operation in operations(document):
        assert "security" not in operation, path
        assert "401" not in operation["responses"], path


def test_with_keys_all_but_the_open_routes_ask_for_one(keyed: dict[str, Any]) -> None:
    assert keyed["components"]["securitySchemes"]["ApiKey"]["scheme"] == "bearer"
    is_open = {
        (method, path)
        for path, method, operation in operations(keyed)
        if operation["security"] == []
    }
    assert is_open == {
        ("get", path)
        for path in (
            *("/", "/docs", "/healthz", "/health", "/readyz", "/openapi.json"),
            "/shared/{share}",
        )
    }
    for path, method, operation in operations(keyed):
        assert ("401" in operation["responses"]) is ((method, path) not in is_open)


def test_every_stream_names_its_events(document: dict[str, Any]) -> None:
    streams = {
        (path, method): set(content["x-events"])
        for path, method, operation in operations(document)
        for answer in operation["responses"].values()
        for media_type, content in answer.get("content", {}).items()
        if media_type == "text/event-stream"
    }
    job_events = {
        "queued",
        "started",
        "resumed",
        "reasoning",
        "token",
        "call",
        "completed",
        "failed",
        "cancelled",
    }
    assert streams["/", "post"] == streams["/jobs/{job}/events", "get"] == job_events
    assert streams["/v1/responses", "post"] == streams["/v1/responses/{response}", "get"]
    assert "response.output_text.delta" in streams["/v1/responses", "post"]
    assert streams["/v1/chat/completions", "post"] == {"message"}
    assert "content_block_delta" in streams["/v1/messages", "post"]
    changes = {"created", "changed", "deleted", "reset"}
    assert streams["/conversations/events", "get"] == changes
    assert len(streams) == 8


def problems_in_sources() -> Iterator[tuple[int, str, str | None]]:
    """Every `Problem(status, "code", …)` in the API's sources, with its detail if that is fixed."""
    for path in Path(api.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                match name, node.args:
                    case "Problem", [
                        ast.Constant(value=int(status)),
                        ast.Constant(value=str(code)),
                        ast.Constant(value=str(detail)),
                    ]:
                        yield status, code, detail
                    case "Problem", [
                        ast.Constant(value=int(status)),
                        ast.Constant(value=str(code)),
                        *_,
                    ]:
                        yield status, code, None


def test_every_error_that_the_sources_raise_is_described() -> None:
    raised = set(problems_in_sources())
    assert len(raised) > 25
    for status, code, _ in raised:
        if code not in NEVER_SENT:
            assert PROBLEMS[code].status == status, code


def test_examples_of_errors_have_the_words_of_the_sources() -> None:
    details: defaultdict[str, set[str]] = defaultdict(set)
    for _, code, detail in problems_in_sources():
        if detail is not None and code not in NEVER_SENT:
            details[code].add(detail)
    assert len(details) > 8
    # What is not found differs from route to route.
    for code in details.keys() - {"not_found"}:
        assert PROBLEMS[code].detail in details[code], code


@pytest.mark.parametrize(
    "error",
    [
        errors.NoSuchConversation(),
        errors.NoSuchTurn(),
        errors.TurnInProgress(),
        errors.TurnWithoutReply("failed"),
        errors.TurnWithoutReply("cancelled"),
        errors.ConversationBusy(),
        errors.QueueFull(1.0),
        errors.IdempotencyKeyReused(),
        errors.IdempotencyKeySpent("0" * 32),
        errors.MemoryShort(),
        errors.ReadOnlyRedis(),
        *(
            errors.LimitReached(kind, 1, 1.0)
            for kind in ("requests", "in_flight", "queued", "tokens")
        ),
        errors.NoWorker(),
        errors.OutcomeUnknown("0" * 32),
        errors.StillInUse("1"),
        errors.InvalidReplaceFrom(1),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_refusal_is_described(error: errors.PalaverError) -> None:
    problem = to_problem(error)
    assert PROBLEMS[problem.code].status == problem.status


def test_every_failure_of_a_turn_is_described() -> None:
    def below(kind: type[errors.TurnFailed]) -> Iterator[type[errors.TurnFailed]]:
        yield kind
        for each in kind.__subclasses__():
            yield from below(each)

    assert {kind.code for kind in below(errors.TurnFailed)} <= PROBLEMS.keys()


def test_a_route_describes_exactly_the_parameters_of_its_path() -> None:
    operation = Operation(
        method="GET", id="x", tag="x", summary="x", answers=(Answer(description="x"),)
    )
    with pytest.raises(ValueError, match="parameters"):
        Route(path="/jobs/{job}", operations=(operation,))


def test_a_route_without_a_resource_stops_the_start() -> None:
    resources: dict[str, object] = {route.path: object() for route in ROUTES}
    del resources["/jobs"]
    with pytest.raises(ValueError, match="/jobs"):
        add_routes(None, resources)  # type: ignore[arg-type]
