"""The routes for conversations."""

from typing import Final

from api.conversations.bodies import ConversationChanges, MessageChanges
from api.conversations.imports import ConversationStart
from api.conversations.list_events import LIST_EVENTS
from api.description.problems import READING_BODY, STORING, USING_REDIS
from api.description.route import Answer, Body, Operation, Parameter, Route
from shared.wire.objects import (
    ConversationList,
    ConversationObject,
    MessageObject,
    MessagePage,
)

CONVERSATIONS: Final = "Conversations"

JOB_ID: Final = "01a20468ad556c9e281ab26b9b22bda1"
_CONVERSATION_ID: Final = 8543490280686788
_WINDOW: Final = {"budget": 3500, "used": 124, "turns_kept": 1, "turns_dropped": 0}
CONVERSATION_EXAMPLE: Final = {
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
_MESSAGE_EXAMPLE: Final = {
    "number": 1,
    "role": "user",
    "content": "Name a famous person.",
    "timestamp": "2026-11-22T17:58:19.350Z",
    "tokens": 5,
    "job": JOB_ID,
}
MESSAGES_EXAMPLE: Final = {
    "messages": [
        _MESSAGE_EXAMPLE
        | {
            "alternatives": {
                "count": 2,
                "shown": 2,
                "ids": ["1-01a20468a6e81f0a5cbbf96bd0b3a0c7", f"1-{JOB_ID}"],
            },
        },
        {
            "number": 2,
            "role": "assistant",
            "content": "Akira Kurosawa.",
            "timestamp": "2026-11-22T17:58:19.350Z",
            "tokens": 48,
            "job": JOB_ID,
            "finish_reason": "stop",
            "model": "SmolLM2-135M-Instruct",
        },
    ],
    "next": None,
}
CONVERSATION_PARAMETER: Final = Parameter(
    name="conversation",
    place="path",
    description="Id of the conversation.",
    schema={"type": "string", "pattern": r"^[1-9][0-9]{0,15}$"},
    example=str(_CONVERSATION_ID),
    is_id=True,
)
LIMIT: Final = Parameter(
    name="limit",
    place="query",
    description="Length of the page; 50 if it is left out.",
    schema={"type": "integer", "minimum": 1, "maximum": 500},
)
NEWEST_BELOW: Final = Parameter(
    name="before",
    place="query",
    description="The `next` of the page before.",
    schema={"type": "integer", "minimum": 1, "maximum": 2**53},
)
"""Of pages of messages."""
_EVENT_ID: Final = {"type": "string", "pattern": r"^[0-9]{1,19}-[0-9]{1,19}$"}
RESUMING: Final = (
    Parameter(
        name="after",
        place="query",
        description="Id of the last event that was received.",
        schema=_EVENT_ID,
    ),
    Parameter(
        name="Last-Event-ID",
        place="header",
        description="Id of the last event that was received.",
        schema=_EVENT_ID,
    ),
)
"""Where a stream goes on."""
_CHANGES: Final = (
    "id: 1795370298900-0\nevent: created\n"
    f'data: {{"id": {_CONVERSATION_ID}, "updated_at": "2026-11-22T17:58:18.900Z"}}\n\n'
    "id: 1795370299350-0\nevent: changed\n"
    f'data: {{"id": {_CONVERSATION_ID}, "updated_at": "2026-11-22T17:58:19.350Z"}}\n\n'
)
LOOKING_UP: Final = (*USING_REDIS, "not_found")

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
                    "may use the server: `PALAVER_OPEN_LIST` says which.\n\n"
                    "With `query`, those whose title, or one of whose messages, has all words; "
                    "case, accents and widths do not matter, and the end of a word may be left "
                    "out. So much is read for one page: it may be short, or empty, while there "
                    "is a `next`."
                ),
                parameters=(
                    LIMIT,
                    Parameter(
                        name="before",
                        place="query",
                        description="The `next` of the page before.",
                        schema={
                            "type": "string",
                            "pattern": r"^([0-9]{1,15}-)?[1-9][0-9]{0,15}(\.[1-9][0-9]{0,15})?$",
                        },
                    ),
                    Parameter(
                        name="query",
                        place="query",
                        description="Words to search for.",
                        schema={"type": "string", "minLength": 1, "maxLength": 200},
                    ),
                    Parameter(
                        name="pinned",
                        place="query",
                        description="`true`: only those that are pinned.",
                        schema={"type": "string", "enum": ["true"]},
                    ),
                ),
                answers=(
                    Answer(
                        description="A page.",
                        kind=ConversationList,
                        example={"conversations": [CONVERSATION_EXAMPLE], "next": None},
                    ),
                ),
                problems=(*LOOKING_UP, "invalid_request"),
            ),
            Operation(
                method="POST",
                id="createConversation",
                tag=CONVERSATIONS,
                summary="Begin a conversation without a prompt, or import one",
                description=(
                    "With `messages` it is an imported one: what `GET /conversations/{id}`, its "
                    "messages and all its alternatives give is accepted as it is. It gets an id of "
                    "its own, its messages new numbers, and their tokens are counted when a prompt "
                    "follows. It counts as a prompt, and its text at four bytes a token."
                ),
                body=Body(
                    kind=ConversationStart,
                    examples={
                        "Empty": {"context": "Answer in one short sentence.", "title": "Cinema"},
                        "Imported": {
                            "title": "Famous people",
                            "messages": [
                                {"role": "user", "content": "Name a famous person."},
                                {"role": "assistant", "content": "Akira Kurosawa."},
                            ],
                        },
                    },
                ),
                answers=(
                    Answer(
                        status=201,
                        description="The conversation.",
                        kind=ConversationObject,
                        example=CONVERSATION_EXAMPLE,
                        headers={"Location": "Address of the conversation."},
                    ),
                ),
                problems=(*STORING, "queue_full", "model_not_found", "no_worker"),
            ),
        ),
    ),
    Route(
        path="/conversations/events",
        operations=(
            Operation(
                method="GET",
                id="streamConversationChanges",
                tag=CONVERSATIONS,
                summary="Follow the list of conversations",
                description=(
                    "Server-sent events from now on, or from the one after `Last-Event-ID` (else "
                    "`after`), if that was within the last five minutes. Otherwise the first one "
                    "is `reset`: load the list again. The stream never ends by itself; a comment "
                    "at its beginning and every 15 seconds keeps the connection open.\n\n"
                    "Connect first, and load the list then: nothing that happens is missed. Who "
                    "may follow is as for the list."
                ),
                parameters=RESUMING,
                answers=(
                    Answer(
                        description="The changes.",
                        events=LIST_EVENTS,
                        stream_example=_CHANGES,
                    ),
                ),
                problems=(*LOOKING_UP, "invalid_request"),
            ),
        ),
    ),
    Route(
        path="/conversations/{conversation}",
        parameters=(CONVERSATION_PARAMETER,),
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
                        example=CONVERSATION_EXAMPLE,
                    ),
                ),
                problems=LOOKING_UP,
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
                        example=CONVERSATION_EXAMPLE | {"title": "Famous people"},
                    ),
                ),
                problems=(*LOOKING_UP, *READING_BODY),
            ),
            Operation(
                method="DELETE",
                id="deleteConversation",
                tag=CONVERSATIONS,
                summary="Delete a conversation",
                description="Its messages, alternatives and jobs are removed at once; pending "
                "turns are cancelled.",
                answers=(Answer(status=204, description="The conversation is gone."),),
                problems=LOOKING_UP,
            ),
        ),
    ),
    Route(
        path="/conversations/{conversation}/messages",
        parameters=(CONVERSATION_PARAMETER,),
        operations=(
            Operation(
                method="GET",
                id="listMessages",
                tag=CONVERSATIONS,
                summary="List a conversation's messages",
                description="A page holds the newest messages numbered below `before`, oldest "
                "first. Where edits or retries have left others that may stand from a message on, "
                "`alternatives` says how many there are and which one this is.",
                parameters=(LIMIT, NEWEST_BELOW),
                answers=(
                    Answer(description="A page.", kind=MessagePage, example=MESSAGES_EXAMPLE),
                ),
                problems=(*LOOKING_UP, "invalid_request"),
            ),
        ),
    ),
    Route(
        path="/conversations/{conversation}/messages/{number}",
        parameters=(
            CONVERSATION_PARAMETER,
            Parameter(
                name="number",
                place="path",
                description="Number of the message.",
                schema={"type": "string", "pattern": "^[1-9][0-9]{0,15}$"},
                example="1",
            ),
        ),
        operations=(
            Operation(
                method="PATCH",
                id="changeMessage",
                tag=CONVERSATIONS,
                summary="Pin a message",
                description="The turn of a pinned message is always in view, as far as half of the "
                "prompt has room for such turns; the newest ones come first.",
                body=Body(kind=MessageChanges, examples={"Pin": {"pinned": True}}),
                answers=(
                    Answer(
                        description="The message.",
                        kind=MessageObject,
                        example=_MESSAGE_EXAMPLE | {"pinned": True},
                    ),
                ),
                problems=(*LOOKING_UP, *READING_BODY, "conversation_busy"),
            ),
        ),
    ),
)
