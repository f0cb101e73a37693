"""The routes for alternatives."""

from typing import Final

from api.conversations.conversation_description import (
    CONVERSATION_EXAMPLE,
    CONVERSATION_PARAMETER,
    CONVERSATIONS,
    JOB_ID,
    LIMIT,
    LOOKING_UP,
    MESSAGES_EXAMPLE,
    NEWEST_BELOW,
)
from api.description.route import Answer, Operation, Parameter, Route
from shared.wire.objects import AlternativeList, ConversationObject, MessagePage

_ALTERNATIVE_ID: Final = f"1-{JOB_ID}"
_ALTERNATIVE_PARAMETER: Final = Parameter(
    name="alternative",
    place="path",
    description="Id of the alternative.",
    schema={"type": "string", "pattern": "^[1-9][0-9]{0,15}-[0-9a-f]{32}$"},
    example=_ALTERNATIVE_ID,
)

ROUTES: Final = (
    Route(
        path="/conversations/{conversation}/alternatives",
        parameters=(CONVERSATION_PARAMETER,),
        operations=(
            Operation(
                method="GET",
                id="listAlternatives",
                tag=CONVERSATIONS,
                summary="List what edits and retries have replaced",
                description=(
                    "What `replace_from` takes out of a conversation is kept. This lists the tails "
                    "that can be put back now, in the order in which they were sent; not those "
                    "that belong under another one of them. With `all` these are listed, too, "
                    "in the order in which they were replaced: each before the one that it is "
                    "`under`. A `number` without alternatives gives an empty list."
                ),
                parameters=(
                    Parameter(
                        name="number",
                        place="query",
                        description="Of the message from which on they once stood; any if it is "
                        "left out.",
                        schema={"type": "integer", "minimum": 1, "maximum": 2**53},
                    ),
                    Parameter(
                        name="all",
                        place="query",
                        description="`true`: also those that belong under others.",
                        schema={"type": "string", "enum": ["true"]},
                    ),
                ),
                answers=(
                    Answer(
                        description="The alternatives.",
                        kind=AlternativeList,
                        example={
                            "alternatives": [
                                {
                                    "id": _ALTERNATIVE_ID,
                                    "number": 1,
                                    "under": None,
                                    "context": "Answer in one short sentence.",
                                    "replaced_at": "2026-11-22T18:02:41.007Z",
                                    "length": 2,
                                    "messages": MESSAGES_EXAMPLE["messages"],
                                }
                            ]
                        },
                    ),
                ),
                problems=(*LOOKING_UP, "invalid_request"),
            ),
        ),
    ),
    Route(
        path="/conversations/{conversation}/alternatives/{alternative}",
        parameters=(CONVERSATION_PARAMETER, _ALTERNATIVE_PARAMETER),
        operations=(
            Operation(
                method="POST",
                id="switchAlternative",
                tag=CONVERSATIONS,
                summary="Put an alternative back",
                description=(
                    "It changes places with what stands there now, which becomes an alternative. "
                    "The conversation is then as it was when the alternative was replaced, its "
                    "instructions included. One that stands already stays, so the request may be "
                    "repeated. While turns are pending it is refused."
                ),
                answers=(
                    Answer(
                        description="The conversation.",
                        kind=ConversationObject,
                        example=CONVERSATION_EXAMPLE,
                    ),
                ),
                problems=(*LOOKING_UP, "conversation_busy"),
            ),
        ),
    ),
    Route(
        path="/conversations/{conversation}/alternatives/{alternative}/messages",
        parameters=(CONVERSATION_PARAMETER, _ALTERNATIVE_PARAMETER),
        operations=(
            Operation(
                method="GET",
                id="listAlternativeMessages",
                tag=CONVERSATIONS,
                summary="Page through an alternative's messages",
                parameters=(LIMIT, NEWEST_BELOW),
                answers=(
                    Answer(description="A page.", kind=MessagePage, example=MESSAGES_EXAMPLE),
                ),
                problems=(*LOOKING_UP, "invalid_request"),
            ),
        ),
    ),
)
