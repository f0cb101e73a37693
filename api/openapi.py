"""`/openapi.json`, generated from the schema types."""

from typing import Any, Final

from pydantic import TypeAdapter

from api.errors import PROBLEM_JSON
from shared.config import Settings
from shared.requests import ChatRequest
from shared.schema import JobObject, ProblemObject, ReplyObject

_REF: Final = "#/components/schemas/{model}"


def openapi_document(settings: Settings, version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 description of everything this API answers."""
    schemas: dict[str, Any] = {}
    for name, kind in (
        ("ChatRequest", ChatRequest),
        ("Reply", ReplyObject),
        ("Job", JobObject),
        ("Problem", ProblemObject),
    ):
        schema = TypeAdapter(kind).json_schema(ref_template=_REF)
        schemas |= schema.pop("$defs", {})
        schemas[name] = schema
    _without_nulls(schemas["ChatRequest"])
    schemas["ChatRequest"]["properties"]["max_tokens"]["maximum"] = settings.max_tokens_limit
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Palaver",
            "version": version,
            "description": "A chat backend that remembers.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _paths(),
        "components": {"schemas": schemas},
    }


def _without_nulls(schema: dict[str, Any]) -> None:
    """Absent is not null: drop pydantic's `anyOf: [..., null]` and `default: null`."""
    for name, field in schema["properties"].items():
        options = [option for option in field.get("anyOf", ()) if option != {"type": "null"}]
        if len(options) == 1:
            field = {key: value for key, value in field.items() if key != "anyOf"} | options[0]
        if field.get("default", 0) is None:
            del field["default"]
        schema["properties"][name] = field


def _paths() -> dict[str, Any]:
    return {
        "/": {
            "get": _operation("What this is", {"200": _json("A description", {"type": "object"})}),
            "post": _operation(
                "Send a prompt to a new conversation, or to the one named by `id`",
                {
                    "200": _json("The reply", _ref("Reply")),
                    "202": _json("Accepted; the reply is not there yet", _ref("Job")),
                    **_problems("400", "408", "409", "413", "422", "500", "503", "504"),
                },
                requestBody={
                    "required": True,
                    "description": "JSON, whatever the content type says",
                    "content": {"application/json": {"schema": _ref("ChatRequest")}},
                },
                parameters=[
                    {
                        "name": "Prefer",
                        "in": "header",
                        "schema": {"type": "string"},
                        "description": "`wait=N`: wait N seconds at most",
                    }
                ],
            ),
        },
        "/jobs/{job}": {
            "get": _operation(
                "A job: where is my reply?",
                {"200": _json("The job", _ref("Job")), **_problems("404", "503")},
                parameters=[
                    {
                        "name": "job",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
                    }
                ],
            )
        },
        "/healthz": {"get": _operation("The process lives", {"200": _json("It does", _object())})},
        "/readyz": {
            "get": _operation(
                "A prompt would be answered", {"200": _json("It would", _object())}, "503"
            )
        },
        "/openapi.json": {
            "get": _operation("This document", {"200": _json("OpenAPI 3.1", _object())})
        },
    }


def _operation(
    summary: str, responses: dict[str, Any], *problems: str, **more: Any
) -> dict[str, Any]:
    return {"summary": summary, "responses": responses | _problems(*problems, "403"), **more}


def _object() -> dict[str, Any]:
    return {"type": "object"}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(model=name)}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problems(*statuses: str) -> dict[str, Any]:
    content = {PROBLEM_JSON: {"schema": _ref("Problem")}}
    return {status: {"description": "A problem", "content": content} for status in statuses}
