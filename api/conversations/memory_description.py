"""The route for what is remembered of a conversation."""

from typing import Any, Final

from api.conversations.bodies import MemoryChanges
from api.conversations.conversation_description import (
    CONVERSATION_PARAMETER,
    CONVERSATIONS,
    LOOKING_UP,
)
from api.description.problems import READING_BODY
from api.description.route import Answer, Body, Operation, Route
from shared.wire.objects import MemoryObject

_EXAMPLE: Final[dict[str, Any]] = {
    "memory": "summary",
    "window_from": 41,
    "due": False,
    "summary": {
        "text": "The user's dog is called Rex. They want to visit Vienna in May.",
        "first": 1,
        "last": 40,
        "turns": 20,
        "model": "Qwen3-8B",
        "made_at": "2026-11-22T17:58:19.350Z",
    },
}
_CORRECTED: Final = "The user's dog is called Max. They want to visit Vienna in May."

ROUTES: Final = (
    Route(
        path="/conversations/{conversation}/memory",
        parameters=(CONVERSATION_PARAMETER,),
        operations=(
            Operation(
                method="GET",
                id="getMemory",
                tag=CONVERSATIONS,
                summary="Show what is remembered of turns that have left the window",
                answers=(
                    Answer(
                        description="The summary.",
                        kind=MemoryObject,
                        example=_EXAMPLE,
                    ),
                ),
                problems=LOOKING_UP,
            ),
            Operation(
                method="PATCH",
                id="changeMemory",
                tag=CONVERSATIONS,
                summary="Correct the summary",
                description="The text takes the place of the summary; what leaves the window later "
                "is added to it. An empty one tells the model nothing.",
                body=Body(kind=MemoryChanges, examples={"Correct": {"summary": _CORRECTED}}),
                answers=(
                    Answer(
                        description="The summary.",
                        kind=MemoryObject,
                        example=_EXAMPLE
                        | {"summary": _EXAMPLE["summary"] | {"text": _CORRECTED, "model": None}},
                    ),
                ),
                problems=(*LOOKING_UP, *READING_BODY, "nothing_to_summarise"),
            ),
            Operation(
                method="DELETE",
                id="deleteMemory",
                tag=CONVERSATIONS,
                summary="Delete the summary",
                description='All versions of it. With `memory: "summary"`, it is made anew from '
                "the messages that are kept.",
                answers=(Answer(status=204, description="It is gone."),),
                problems=LOOKING_UP,
            ),
        ),
    ),
)
