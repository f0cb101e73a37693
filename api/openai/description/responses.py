"""The routes of responses under `/v1`."""

from typing import Final

from api.description.problems import ENDING_WITHOUT_REPLY, SUBMITTING
from api.description.route import Answer, Body, Operation, Parameter, Route
from api.openai import examples, schemas
from api.openai.description.stored import LISTING, LOOKING_UP, PAGING
from api.openai.event_schemas import RESPONSE_EVENTS
from api.openai.response_requests import InputTokensRequest, ResponsesRequest

RESPONSES: Final = "OpenAI: responses"
_RESPONSE: Final = Parameter(
    name="response",
    place="path",
    description="Id of the response.",
    schema={"type": "string", "pattern": "^resp_[0-9a-f]{32}$"},
    example=examples.RESPONSE_ID,
    is_id=True,
)
_FLAG: Final = {"type": "string", "enum": ["true", "false"]}

ROUTES: Final = (
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
        parameters=(_RESPONSE,),
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
                problems=LISTING,
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
                problems=(*LOOKING_UP, "response_in_use"),
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
                description="A worker makes the prompt and generates nothing; nothing is stored, "
                "and a `conversation` stays as it is.",
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
                    "not_found",
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
        parameters=(_RESPONSE,),
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
                problems=LOOKING_UP,
            ),
        ),
    ),
    Route(
        path="/v1/responses/{response}/input_items",
        parameters=(_RESPONSE,),
        operations=(
            Operation(
                method="GET",
                id="openaiListInputItems",
                tag=RESPONSES,
                summary="List the input of a response",
                parameters=PAGING,
                answers=(
                    Answer(
                        description="A page of items.",
                        kind=schemas.ItemList,
                        example=examples.INPUT_ITEMS,
                    ),
                ),
                problems=LISTING,
            ),
        ),
    ),
)
