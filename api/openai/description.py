"""OpenAI's API in `/openapi.json`."""

from typing import Any, Final

from api.openai.requests import ChatCompletionRequest
from api.openai.response_requests import (
    ConversationUpdate,
    NewConversation,
    NewItems,
    ResponsesRequest,
)

SCHEMAS: Final[dict[str, Any]] = {
    kind.__name__: kind
    for kind in (
        ChatCompletionRequest,
        ResponsesRequest,
        NewConversation,
        NewItems,
        ConversationUpdate,
    )
}

_ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "object", "required": ["message", "type", "param", "code"]}},
}


_NOWHERE: Final = ("403", "404", "406", "429", "503")
_BODY: Final = ("400", "403", "406", "408", "409", "413", "415", "429", "500", "503", "504")


def openai_paths() -> dict[str, Any]:
    """Everything under `/v1`."""
    model, response = _path("model", ".+"), _path("response", "^resp_[0-9a-f]{32}$")
    return {
        "/v1/models": {"get": _operation("What the workers run", "403", "406", "503")},
        "/v1/models/{model}": {"get": _operation("A model", *_NOWHERE, parameters=[model])},
        "/v1/chat/completions": {
            "post": _operation(
                "Complete a conversation that the client keeps, as OpenAI's API does",
                *_BODY,
                requestBody=_body("ChatCompletionRequest"),
            )
        },
        "/v1/responses": {
            "post": _operation(
                "The next turn of a conversation that the server keeps",
                *_BODY,
                "404",
                requestBody=_body("ResponsesRequest"),
            )
        },
        "/v1/responses/{response}": {
            "get": _operation("A response", *_NOWHERE, "400", parameters=[response]),
            "delete": _operation("Delete a response", *_NOWHERE, "409", parameters=[response]),
        },
        "/v1/responses/{response}/cancel": {
            "post": _operation("Cancel a response", *_NOWHERE, parameters=[response])
        },
        "/v1/responses/{response}/input_items": {
            "get": _operation("What it was asked", *_NOWHERE, "400", parameters=[response])
        },
        **_conversation_paths(),
    }


def _conversation_paths() -> dict[str, Any]:
    conversation = _path("conversation", "^conv_[1-9][0-9]{0,15}$")
    return {
        "/v1/conversations": {
            "post": _operation("Make a conversation", *_BODY, requestBody=_body("NewConversation"))
        },
        "/v1/conversations/{conversation}": {
            "get": _operation("A conversation", *_NOWHERE, parameters=[conversation]),
            "post": _operation(
                "Replace its metadata",
                *_BODY,
                "404",
                parameters=[conversation],
                requestBody=_body("ConversationUpdate"),
            ),
            "delete": _operation("Delete it", *_NOWHERE, parameters=[conversation]),
        },
        "/v1/conversations/{conversation}/items": {
            "get": _operation("Its messages", *_NOWHERE, "400", parameters=[conversation]),
            "post": _operation(
                "Add messages without a turn",
                *_BODY,
                "404",
                parameters=[conversation],
                requestBody=_body("NewItems"),
            ),
        },
        "/v1/conversations/{conversation}/items/{item}": {
            "get": _operation(
                "One message", *_NOWHERE, "400", parameters=[conversation, _path("item", ".+")]
            )
        },
    }


def _path(name: str, pattern: str) -> dict[str, Any]:
    schema = {"type": "string", "pattern": pattern}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _body(name: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _operation(summary: str, *errors: str, **more: Any) -> dict[str, Any]:
    answer = {"application/json": {"schema": {"type": "object"}}}
    if "requestBody" in more:
        answer["text/event-stream"] = {}
    responses: dict[str, Any] = {"200": {"description": "So it is", "content": answer}}
    for status in (*errors, "401"):
        content = {"application/json": {"schema": _ERROR}}
        responses[status] = {"description": "OpenAI's error object", "content": content}
    return {"summary": summary, "responses": responses, **more}
