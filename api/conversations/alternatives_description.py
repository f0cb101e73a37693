"""The routes for alternatives."""

from typing import Final

from api.conversations.conversation_description import (
    CONVERSATION_EXAMPLE,
    CONVERSATION_PARAMETER,
    CONVERSATIONS,
    JOB_ID,
    LOOKING_UP,
    MESSAGES_EXAMPLE,
)
from api.description.route import Answer, Operation, Parameter, Route
from shared.wire.objects import AlternativeList, ConversationObject

_ALTERNATIVE_ID: Final = f"1-{JOB_ID}"

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
                    "that belong under another one of them. A `number` without alternatives gives "
                    "an empty list."
                ),
                parameters=(
                    Parameter(
                        name="number",
                        place="query",
                        description="Of the message from which on they once stood; any if it is "
                        "left out.",
                        schema={"type": "integer", "minimum": 1, "maximum": 2**53},
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
        parameters=(
            CONVERSATION_PARAMETER,
            Parameter(
                name="alternative",
                place="path",
                description="Id of the alternative.",
                schema={"type": "string", "pattern": "^[1-9][0-9]{0,15}-[0-9a-f]{32}$"},
                example=_ALTERNATIVE_ID,
            ),
        ),
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
)
