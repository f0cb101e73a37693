"""The routes under `/v1`."""

from typing import Final

from api.description.problems import (
    ENDING_WITHOUT_REPLY,
    READING_BODY,
    STORING,
    SUBMITTING,
    USING_REDIS,
)
from api.description.route import Answer, Body, Operation, Parameter, Route
from api.openai import examples, schemas
from api.openai.chat_requests import ChatCompletionRequest
from api.openai.completion_schemas import ChatCompletion, ChatCompletionChunk
from api.openai.event_schemas import RESPONSE_EVENTS
from api.openai.response_requests import (
    ConversationUpdate,
    InputTokensRequest,
    NewConversation,
    NewItems,
    ResponsesRequest,
)

MODELS: Final = "OpenAI: models"
COMPLETIONS: Final = "OpenAI: chat completions"
RESPONSES: Final = "OpenAI: responses"
CONVERSATIONS: Final = "OpenAI: conversations"

_MODEL: Final = Parameter(
    name="model",
    place="path",
    description="Name of the model.",
    schema={"type": "string", "pattern": ".+"},
    example=examples.MODEL_NAME,
)
_RESPONSE_PARAMETER: Final = Parameter(
    name="response",
    place="path",
    description="Id of the response.",
    schema={"type": "string", "pattern": "^resp_[0-9a-f]{32}$"},
    example=examples.RESPONSE_ID,
    is_id=True,
)
_CONVERSATION_PARAMETER: Final = Parameter(
    name="conversation",
    place="path",
    description="Id of the conversation.",
    schema={"type": "string", "pattern": "^conv_[1-9][0-9]{0,15}$"},
    example=examples.CONVERSATION_ID,
    is_id=True,
)
_ITEM: Final = Parameter(
    name="item",
    place="path",
    description="Id of the item.",
    schema={"type": "string", "pattern": ".+"},
    example=f"msg_{examples.JOB_ID}a",
)
_FLAG: Final = {"type": "string", "enum": ["true", "false"]}
_PAGING: Final = (
    Parameter(
        name="limit",
        place="query",
        description="Length of the page; 20 if it is left out.",
        schema={"type": "integer", "minimum": 1, "maximum": 100},
    ),
    Parameter(
        name="order",
        place="query",
        description="`desc`, the default, shows the newest items first.",
        schema={"type": "string", "enum": ["asc", "desc"]},
    ),
    Parameter(
        name="after",
        place="query",
        description="Id of the last item of the page before.",
        schema={"type": "string"},
    ),
)

_LOOKING_UP: Final = (*USING_REDIS, "not_found")
_LISTING: Final = (*_LOOKING_UP, "invalid_request")

ROUTES: Final = (
    Route(
        path="/v1/models",
        operations=(
            Operation(
                method="GET",
                id="openaiListModels",
                tag=MODELS,
                summary="List models",
                answers=(
                    Answer(
                        description="The models that workers run.",
                        kind=schemas.ModelList,
                        example={"object": "list", "data": [examples.MODEL]},
                    ),
                ),
                problems=USING_REDIS,
            ),
        ),
    ),
    Route(
        path="/v1/models/{model}",
        parameters=(_MODEL,),
        operations=(
            Operation(
                method="GET",
                id="openaiGetModel",
                tag=MODELS,
                summary="Look up a model",
                answers=(
                    Answer(description="The model.", kind=schemas.Model, example=examples.MODEL),
                ),
                problems=(*USING_REDIS, "model_not_found"),
            ),
        ),
    ),
    Route(
        path="/v1/chat/completions",
        operations=(
            Operation(
                method="POST",
                id="openaiCreateChatCompletion",
                tag=COMPLETIONS,
                summary="Complete a conversation that the client keeps",
                description=(
                    "Stateless: `messages` is the whole conversation, and nothing is stored. A "
                    "conversation that does not fit the context window is an error; it is never "
                    "cut. A client that disconnects cancels its completion."
                ),
                body=Body(
                    kind=ChatCompletionRequest,
                    examples={
                        "A question": {
                            "model": examples.MODEL_NAME,
                            "messages": [{"role": "user", "content": "Name a famous person."}],
                        },
                        "A tool": {
                            "model": examples.MODEL_NAME,
                            "messages": [{"role": "user", "content": "How is the weather?"}],
                            "tools": [
                                {
                                    "type": "function",
                                    "function": {
                                        "name": "get_weather",
                                        "parameters": {"type": "object", "properties": {}},
                                    },
                                }
                            ],
                        },
                        "A stream": {
                            "model": examples.MODEL_NAME,
                            "messages": [{"role": "user", "content": "Count to three."}],
                            "stream": True,
                            "stream_options": {"include_usage": True},
                        },
                        "A reply that follows a JSON schema": {
                            "model": examples.MODEL_NAME,
                            "messages": [{"role": "user", "content": "Invent a person."}],
                            "response_format": {
                                "type": "json_schema",
                                "json_schema": {
                                    "name": "person",
                                    "schema": {
                                        "type": "object",
                                        "properties": {"name": {"type": "string"}},
                                        "required": ["name"],
                                        "additionalProperties": False,
                                    },
                                },
                            },
                        },
                    },
                ),
                answers=(
                    Answer(
                        description="The completion, or with `stream` its chunks. The last piece "
                        "of a stream is `[DONE]`; a failure is sent as an error object.",
                        kind=ChatCompletion,
                        example=examples.COMPLETION,
                        events={"message": ChatCompletionChunk},
                        stream_example=examples.CHUNKS,
                    ),
                ),
                problems=(
                    *SUBMITTING,
                    *ENDING_WITHOUT_REPLY,
                    "unusable_options",
                    "no_outcome",
                ),
            ),
        ),
    ),
    Route(
        path="/v1/responses",
        operations=(
            Operation(
                method="POST",
                id="openaiCreateResponse",
                tag=RESPONSES,
                summary="Send a turn of a conversation that the server keeps",
                description=(
                    "`previous_response_id` continues after a response (after an earlier one it "
                    "forks the conversation), `conversation` continues a conversation; without "
                    "either a new one begins. The conversations are the same ones as under "
                    "`/conversations`."
                ),
                body=Body(
                    kind=ResponsesRequest,
                    examples={
                        "A question": {"input": "Name a famous person."},
                        "Continue after a response": {
                            "input": "Why is this person famous?",
                            "previous_response_id": examples.RESPONSE_ID,
                        },
                        "In the background": {
                            "input": "Write a haiku about Redis.",
                            "background": True,
                        },
                    },
                ),
                answers=(
                    Answer(
                        description="The response, or with `stream` its events.",
                        kind=schemas.Response,
                        example=examples.RESPONSE,
                        events=RESPONSE_EVENTS,
                        stream_example=examples.RESPONSE_STREAM,
                    ),
                ),
                problems=(
                    *SUBMITTING,
                    *ENDING_WITHOUT_REPLY,
                    "unusable_options",
                    "no_outcome",
                    "not_found",
                    "conversation_busy",
                    "previous_response_not_found",
                    "previous_response_failed",
                    "previous_response_cancelled",
                    "response_in_progress",
                ),
            ),
        ),
    ),
    Route(
        path="/v1/responses/{response}",
        parameters=(_RESPONSE_PARAMETER,),
        operations=(
            Operation(
                method="GET",
                id="openaiGetResponse",
                tag=RESPONSES,
                summary="Look up a response, or stream its events",
                parameters=(
                    Parameter(
                        name="stream",
                        place="query",
                        description="Stream the events, from the first one.",
                        schema=_FLAG,
                    ),
                    Parameter(
                        name="starting_after",
                        place="query",
                        description="With `stream`: the `sequence_number` of the last event that "
                        "was received.",
                        schema={"type": "integer", "minimum": 0, "maximum": 10**9},
                    ),
                    Parameter(
                        name="include_obfuscation",
                        place="query",
                        description="Accepted; no padding is ever sent.",
                        schema=_FLAG,
                    ),
                ),
                answers=(
                    Answer(
                        description="The response.",
                        kind=schemas.Response,
                        example=examples.RESPONSE,
                        events=RESPONSE_EVENTS,
                        stream_example=examples.RESPONSE_STREAM,
                    ),
                ),
                problems=_LISTING,
            ),
            Operation(
                method="DELETE",
                id="openaiDeleteResponse",
                tag=RESPONSES,
                summary="Delete a response",
                description="Removes its text, too, unless later turns build on it.",
                answers=(
                    Answer(
                        description="The response is gone.",
                        kind=schemas.DeletedResponse,
                        example={"id": examples.RESPONSE_ID, "object": "response", "deleted": True},
                    ),
                ),
                problems=(*_LOOKING_UP, "response_in_use"),
            ),
        ),
    ),
    Route(path="/v1/responses/compact"),
    Route(
        path="/v1/responses/input_tokens",
        operations=(
            Operation(
                method="POST",
                id="openaiCountInputTokens",
                tag=RESPONSES,
                summary="Count the tokens of an input",
                description="A worker makes the prompt and generates nothing; nothing is stored.",
                body=Body(
                    kind=InputTokensRequest,
                    examples={"A question": {"input": "Name a famous person."}},
                ),
                answers=(
                    Answer(
                        description="The number of tokens.",
                        kind=schemas.InputTokens,
                        example={"object": "response.input_tokens", "input_tokens": 31},
                    ),
                ),
                problems=(
                    *SUBMITTING,
                    *ENDING_WITHOUT_REPLY,
                    "unusable_options",
                    "no_outcome",
                    "previous_response_not_found",
                    "previous_response_failed",
                    "previous_response_cancelled",
                    "response_in_progress",
                ),
            ),
        ),
    ),
    Route(
        path="/v1/responses/{response}/cancel",
        parameters=(_RESPONSE_PARAMETER,),
        operations=(
            Operation(
                method="POST",
                id="openaiCancelResponse",
                tag=RESPONSES,
                summary="Cancel a response",
                answers=(
                    Answer(
                        description="The response.",
                        kind=schemas.Response,
                        example=examples.CANCELLED,
                    ),
                ),
                problems=_LOOKING_UP,
            ),
        ),
    ),
    Route(
        path="/v1/responses/{response}/input_items",
        parameters=(_RESPONSE_PARAMETER,),
        operations=(
            Operation(
                method="GET",
                id="openaiListInputItems",
                tag=RESPONSES,
                summary="List the input of a response",
                parameters=_PAGING,
                answers=(
                    Answer(
                        description="A page of items.",
                        kind=schemas.ItemList,
                        example=examples.INPUT_ITEMS,
                    ),
                ),
                problems=_LISTING,
            ),
        ),
    ),
    Route(
        path="/v1/conversations",
        operations=(
            Operation(
                method="POST",
                id="openaiCreateConversation",
                tag=CONVERSATIONS,
                summary="Create a conversation",
                body=Body(
                    kind=NewConversation,
                    examples={
                        "With metadata": {"metadata": {"topic": "cinema"}},
                        "With messages": {
                            "items": [{"role": "user", "content": "My name is Ann."}],
                        },
                    },
                ),
                answers=(
                    Answer(
                        description="The conversation.",
                        kind=schemas.OpenAiConversation,
                        example=examples.CONVERSATION,
                    ),
                ),
                problems=(*STORING, "queue_full"),
            ),
        ),
    ),
    Route(
        path="/v1/conversations/{conversation}",
        parameters=(_CONVERSATION_PARAMETER,),
        operations=(
            Operation(
                method="GET",
                id="openaiGetConversation",
                tag=CONVERSATIONS,
                summary="Look up a conversation",
                answers=(
                    Answer(
                        description="The conversation.",
                        kind=schemas.OpenAiConversation,
                        example=examples.CONVERSATION,
                    ),
                ),
                problems=_LOOKING_UP,
            ),
            Operation(
                method="POST",
                id="openaiUpdateConversation",
                tag=CONVERSATIONS,
                summary="Replace a conversation's metadata",
                body=Body(
                    kind=ConversationUpdate,
                    examples={"A topic": {"metadata": {"topic": "cinema"}}},
                ),
                answers=(
                    Answer(
                        description="The conversation.",
                        kind=schemas.OpenAiConversation,
                        example=examples.CONVERSATION,
                    ),
                ),
                problems=(*READING_BODY, *_LOOKING_UP),
            ),
            Operation(
                method="DELETE",
                id="openaiDeleteConversation",
                tag=CONVERSATIONS,
                summary="Delete a conversation",
                answers=(
                    Answer(
                        description="The conversation is gone.",
                        kind=schemas.DeletedConversation,
                        example={
                            "id": examples.CONVERSATION_ID,
                            "object": "conversation.deleted",
                            "deleted": True,
                        },
                    ),
                ),
                problems=_LOOKING_UP,
            ),
        ),
    ),
    Route(
        path="/v1/conversations/{conversation}/items",
        parameters=(_CONVERSATION_PARAMETER,),
        operations=(
            Operation(
                method="GET",
                id="openaiListItems",
                tag=CONVERSATIONS,
                summary="List a conversation's messages",
                parameters=_PAGING,
                answers=(
                    Answer(
                        description="A page of items.",
                        kind=schemas.ItemList,
                        example=examples.ITEMS,
                    ),
                ),
                problems=_LISTING,
            ),
            Operation(
                method="POST",
                id="openaiCreateItems",
                tag=CONVERSATIONS,
                summary="Add messages without asking for a reply",
                body=Body(
                    kind=NewItems,
                    examples={
                        "A message": {"items": [{"role": "user", "content": "My name is Ann."}]}
                    },
                ),
                answers=(
                    Answer(
                        description="The messages as items.",
                        kind=schemas.ItemList,
                        example=examples.INPUT_ITEMS,
                    ),
                ),
                problems=(*STORING, "not_found", "conversation_busy"),
            ),
        ),
    ),
    Route(
        path="/v1/conversations/{conversation}/items/{item}",
        parameters=(_CONVERSATION_PARAMETER, _ITEM),
        operations=(
            Operation(
                method="GET",
                id="openaiGetItem",
                tag=CONVERSATIONS,
                summary="Look up a message",
                answers=(
                    Answer(
                        description="The item.",
                        kind=schemas.Item,
                        example=examples.OUTPUT_ITEM,
                    ),
                ),
                problems=_LISTING,
            ),
        ),
    ),
)
