"""The routes for conversations."""

from typing import Final

from api.conversations.bodies import ConversationChanges
from api.description.problems import READING_BODY, USING_REDIS
from api.description.route import Answer, Body, Operation, Parameter, Route
from shared.wire.objects import ConversationList, ConversationObject, MessagePage

CONVERSATIONS: Final = "Conversations"

_JOB_ID: Final = "01a20468ad556c9e281ab26b9b22bda1"
_CONVERSATION_ID: Final = 8543490280686788
_WINDOW: Final = {"budget": 3500, "used": 124, "turns_kept": 1, "turns_dropped": 0}
_CONVERSATION: Final = {
    "id": _CONVERSATION_ID,
    "title": "Name a famous person.",
    "context": "Answer in one short sentence.",
    "created_at": "2026-11-22T17:58:18.900Z",
    "updated_at": "2026-11-22T17:58:19.350Z",
    "turns": 1,
    "tokens": 124,
    "window": _WINDOW,
    "pending": [],
    "pinned": False,
    "metadata": {},
    "model": "SmolLM2-135M-Instruct",
}
_MESSAGES: Final = {
    "messages": [
        {
            "number": 1,
            "role": "user",
            "content": "Name a famous person.",
            "timestamp": "2026-11-22T17:58:19.350Z",
            "tokens": 5,
            "job": _JOB_ID,
        },
        {
            "number": 2,
            "role": "assistant",
            "content": "Akira Kurosawa.",
            "timestamp": "2026-11-22T17:58:19.350Z",
            "tokens": 48,
            "job": _JOB_ID,
            "finish_reason": "stop",
            "model": "SmolLM2-135M-Instruct",
        },
    ],
    "next": None,
}
_CONVERSATION_PARAMETER: Final = Parameter(
    name="conversation",
    place="path",
    description="Id of the conversation.",
    schema={"type": "string", "pattern": r"^[1-9][0-9]{0,15}$"},
    example=str(_CONVERSATION_ID),
    is_id=True,
)
_LIMIT: Final = Parameter(
    name="limit",
    place="query",
    description="Length of the page; 50 if it is left out.",
    schema={"type": "integer", "minimum": 1, "maximum": 500},
)
_LOOKING_UP: Final = (*USING_REDIS, "not_found")

ROUTES: Final = (
    Route(
        path="/conversations",
        operations=(
            Operation(
                method="GET",
                id="listConversations",
                tag=CONVERSATIONS,
                summary="List conversations",
                description=(
                    "The one that was used last comes first. With API keys these are the key's "
                    "own. Without keys they are all conversations, and this is 404 where others "
                    "may use the server: `PALAVER_OPEN_LIST` says which."
                ),
                parameters=(
                    _LIMIT,
                    Parameter(
                        name="before",
                        place="query",
                        description="The `next` of the page before.",
                        schema={
                            "type": "string",
                            "pattern": r"^([0-9]{1,15}-)?[1-9][0-9]{0,15}$",
                        },
                    ),
                ),
                answers=(
                    Answer(
                        description="A page.",
                        kind=ConversationList,
                        example={"conversations": [_CONVERSATION], "next": None},
                    ),
                ),
                problems=(*_LOOKING_UP, "invalid_request"),
            ),
        ),
    ),
    Route(
        path="/conversations/{conversation}",
        parameters=(_CONVERSATION_PARAMETER,),
        operations=(
            Operation(
                method="GET",
                id="getConversation",
                tag=CONVERSATIONS,
                summary="Look up a conversation",
                answers=(
                    Answer(
                        description="The conversation.",
                        kind=ConversationObject,
                        example=_CONVERSATION,
                    ),
                ),
                problems=_LOOKING_UP,
            ),
            Operation(
                method="PATCH",
                id="changeConversation",
                tag=CONVERSATIONS,
                summary="Change a conversation's title, pin or metadata",
                body=Body(
                    kind=ConversationChanges,
                    examples={
                        "Rename": {"title": "Famous people"},
                        "Pin": {"pinned": True},
                        "Take the title away": {"title": None},
                    },
                ),
                answers=(
                    Answer(
                        description="The conversation.",
                        kind=ConversationObject,
                        example=_CONVERSATION | {"title": "Famous people"},
                    ),
                ),
                problems=(*_LOOKING_UP, *READING_BODY),
            ),
            Operation(
                method="DELETE",
                id="deleteConversation",
                tag=CONVERSATIONS,
                summary="Delete a conversation",
                description="Its messages and jobs are removed at once; pending turns are "
                "cancelled.",
                answers=(Answer(status=204, description="The conversation is gone."),),
                problems=_LOOKING_UP,
            ),
        ),
    ),
    Route(
        path="/conversations/{conversation}/messages",
        parameters=(_CONVERSATION_PARAMETER,),
        operations=(
            Operation(
                method="GET",
                id="listMessages",
                tag=CONVERSATIONS,
                summary="List a conversation's messages",
                description="A page holds the newest messages numbered below `before`, oldest "
                "first.",
                parameters=(
                    _LIMIT,
                    Parameter(
                        name="before",
                        place="query",
                        description="The `next` of the page before.",
                        schema={"type": "integer", "minimum": 1, "maximum": 2**53},
                    ),
                ),
                answers=(Answer(description="A page.", kind=MessagePage, example=_MESSAGES),),
                problems=(*_LOOKING_UP, "invalid_request"),
            ),
        ),
    ),
)
