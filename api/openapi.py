"""`/openapi.json`, generated from the schema types."""

from typing import Any, Final

from pydantic import TypeAdapter

from api.http.errors import PROBLEM_JSON
from api.openai import description as openai
from shared.config import Settings
from shared.wire.objects import (
    ConversationList,
    ConversationObject,
    JobObject,
    MessagePage,
    ProblemObject,
)
from shared.wire.reply import ReplyObject
from shared.wire.requests import ChatRequest

_SCHEMAS: Final[dict[str, Any]] = {
    "ChatRequest": ChatRequest,
    "Reply": ReplyObject,
    "Job": JobObject,
    "Conversation": ConversationObject,
    "Messages": MessagePage,
    "Conversations": ConversationList,
    "Problem": ProblemObject,
    **openai.SCHEMAS,
}
_REFUSALS: Final = (
    "400", "404", "406", "408", "409", "410", "413", "415", "422", "500", "503", "504",
)  # fmt: skip
_REF: Final = "#/components/schemas/{model}"


def openapi_document(settings: Settings, version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 description of everything this API answers."""
    schemas: dict[str, Any] = {}
    for name, kind in _SCHEMAS.items():
        schema = TypeAdapter(kind).json_schema(ref_template=_REF)
        schemas |= schema.pop("$defs", {})
        schemas[name] = schema
    _without_nulls(schemas["ChatRequest"])
    if settings.max_tokens_limit != settings.context_length:
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
        if len(options) > 1:
            field = field | {"anyOf": options}
        if len(options) == 1:
            field = {key: value for key, value in field.items() if key != "anyOf"} | options[0]
        if field.get("default", 0) is None:
            del field["default"]
        schema["properties"][name] = field


def _paths() -> dict[str, Any]:
    ours = _chat_paths() | _job_paths() | _conversation_paths() | _service_paths()
    return ours | openai.openai_paths()


def _chat_paths() -> dict[str, Any]:
    body = {
        "required": True,
        "description": "JSON, whatever the content type says",
        "content": {"application/json": {"schema": _ref("ChatRequest")}},
    }
    headers = [
        _header("Prefer", "`respond-async`: 202 at once; `wait=N`: wait N seconds at most"),
        _header("Idempotency-Key", "the same key and body: the same job", minLength=16),
    ]
    answers = {
        "200": {
            "description": "The reply, or the job's events",
            "content": {
                "application/json": {"schema": _ref("Reply")},
                "text/event-stream": {"schema": {"type": "string"}},
            },
        },
        "202": _json("Accepted; the reply is not there yet", _ref("Job")),
        **_problems(*_REFUSALS),
    }
    return {
        "/": {
            "get": _operation("What this is", {"200": _json("A description", _object())}),
            "post": _operation(
                "Send a prompt to a new conversation, or to the one named by `id`",
                answers,
                requestBody=body,
                parameters=headers,
            ),
        },
        "/jobs": {
            "post": _operation(
                "Send a prompt without waiting for its reply",
                answers,
                requestBody=body,
                parameters=headers,
            )
        },
    }


def _job_paths() -> dict[str, Any]:
    job = _path("job", {"type": "string", "pattern": "^[0-9a-f]{32}$"})
    wait = _query("wait", {"type": "integer", "minimum": 0, "maximum": 60})
    shown = {"200": _json("The job", _ref("Job"))}
    position = {"type": "string", "pattern": r"^[0-9]{1,19}-[0-9]{1,19}$"}
    return {
        "/jobs/{job}": {
            "get": _operation(
                "A job: where is my reply?", shown, "404", "422", "503", parameters=[job, wait]
            ),
            "delete": _operation("Cancel a job", shown, "404", "503", parameters=[job]),
        },
        "/jobs/{job}/events": {
            "get": _operation(
                "A job's events, from the beginning or behind an event that was seen",
                {
                    "200": {
                        "description": "Server-sent events",
                        "content": {"text/event-stream": {"schema": {"type": "string"}}},
                    },
                    "204": {"description": "The last event was seen already"},
                },
                "404",
                "422",
                "503",
                parameters=[
                    job,
                    _query("after", position),
                    {**_header("Last-Event-ID", "go on behind this event"), "schema": position},
                ],
            )
        },
    }


def _conversation_paths() -> dict[str, Any]:
    conversation = _path("id", {"type": "string", "pattern": r"^[1-9][0-9]{0,15}$"})
    before = {"type": "string", "pattern": r"^([0-9]{1,15}-)?[1-9][0-9]{0,15}$"}
    return {
        "/conversations": {
            "get": _operation(
                "The caller's conversations, the newest first, where there are API keys",
                {"200": _json("A page", _ref("Conversations"))},
                "404",
                "422",
                "503",
                parameters=[
                    _query("limit", {"type": "integer", "minimum": 1, "maximum": 500}),
                    _query("before", before),
                ],
            )
        },
        "/conversations/{id}": {
            "get": _operation(
                "A conversation",
                {"200": _json("The conversation", _ref("Conversation"))},
                "404",
                "503",
                parameters=[conversation],
            ),
            "delete": _operation(
                "Delete a conversation; its pending turns are cancelled",
                {"204": {"description": "It is gone"}},
                "404",
                "503",
                parameters=[conversation],
            ),
        },
        "/conversations/{id}/messages": {
            "get": _operation(
                "The newest messages, oldest first",
                {"200": _json("A page", _ref("Messages"))},
                "404",
                "422",
                "503",
                parameters=[
                    conversation,
                    _query("limit", {"type": "integer", "minimum": 1, "maximum": 500}),
                    _query("before", {"type": "integer", "minimum": 1, "maximum": 2**53}),
                ],
            )
        },
    }


def _service_paths() -> dict[str, Any]:
    def get(summary: str, *problems: str) -> dict[str, Any]:
        return {"get": _operation(summary, {"200": _json("So it is", _object())}, *problems)}

    return {
        "/healthz": get("The process lives, with all its parts", "503"),
        "/health": get("The same, under the name that other servers use", "503"),
        "/readyz": get("A prompt would be taken and answered", "503"),
        "/openapi.json": get("This document"),
        "/ops": {
            "get": _operation(
                "The operations page",
                {"200": {"description": "A page", "content": {"text/html": {}}}},
            )
        },
        "/ops/data": get("What the operations page shows"),
        "/metrics": {
            "get": _operation(
                "Figures for Prometheus",
                {"200": {"description": "Text", "content": {"text/plain": {}}}},
                "503",
            )
        },
    }


def _header(name: str, description: str, **limits: Any) -> dict[str, Any]:
    schema = {"type": "string", **limits}
    return {"name": name, "in": "header", "description": description, "schema": schema}


def _path(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema}


def _operation(
    summary: str, responses: dict[str, Any], *problems: str, **more: Any
) -> dict[str, Any]:
    always = _problems(*problems, "401", "403", "406", "429")
    return {"summary": summary, "responses": responses | always, **more}


def _object() -> dict[str, Any]:
    return {"type": "object"}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(model=name)}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problems(*statuses: str) -> dict[str, Any]:
    content = {PROBLEM_JSON: {"schema": _ref("Problem")}}
    return {status: {"description": "A problem", "content": content} for status in statuses}
