"""The routes for links to conversations."""

from typing import Final

from api.conversations.conversation_description import (
    CONVERSATION_PARAMETER,
    CONVERSATIONS,
    LOOKING_UP,
)
from api.description.problems import STORING
from api.description.route import Answer, Operation, Parameter, Route, Security
from api.sharing.sharing import SHARE_ID
from shared.wire.share import SharedConversation, ShareObject

_SHARE_ID: Final = "5b0c9d3e7f2a41688c94d0e1f3a5b7c9"
_SHARE: Final = {
    "share": _SHARE_ID,
    "path": f"/shared/{_SHARE_ID}",
    "shared_at": "2026-11-22T18:02:41.007Z",
}
_ONLY_IF: Final = "Only where `PALAVER_SHARING` is 1; elsewhere 404."

ROUTES: Final = (
    Route(
        path="/conversations/{conversation}/share",
        parameters=(CONVERSATION_PARAMETER,),
        operations=(
            Operation(
                method="GET",
                id="getShare",
                tag=CONVERSATIONS,
                summary="Look up the link to a conversation",
                description=_ONLY_IF,
                answers=(Answer(description="The link.", kind=ShareObject, example=_SHARE),),
                problems=LOOKING_UP,
            ),
            Operation(
                method="PUT",
                id="shareConversation",
                tag=CONVERSATIONS,
                summary="Share a conversation as it is now",
                description=(
                    "Whoever has the link can read prompts and replies, without a key: not the "
                    "instructions, thoughts or calls of tools, and nothing that is written later. "
                    "Asked again, the link stays the same and shows the conversation as it is "
                    f"then. {_ONLY_IF}"
                ),
                answers=(Answer(description="The link.", kind=ShareObject, example=_SHARE),),
                problems=(*LOOKING_UP, *STORING),
            ),
            Operation(
                method="DELETE",
                id="unshareConversation",
                tag=CONVERSATIONS,
                summary="Take the link to a conversation back",
                description=f"What was shared is deleted at once. {_ONLY_IF}",
                answers=(Answer(status=204, description="There is no link any more."),),
                problems=LOOKING_UP,
            ),
        ),
    ),
    Route(
        path="/shared/{share}",
        parameters=(
            Parameter(
                name="share",
                place="path",
                description="Id of the link.",
                schema={"type": "string", "pattern": SHARE_ID},
                example=_SHARE_ID,
                is_id=True,
            ),
        ),
        security=Security.OPEN,
        operations=(
            Operation(
                method="GET",
                id="getSharedConversation",
                tag=CONVERSATIONS,
                summary="Read a shared conversation",
                description=f"Browsers get a page. {_ONLY_IF}",
                answers=(
                    Answer(
                        description="What was said.",
                        kind=SharedConversation,
                        example={
                            "title": "Name a famous person.",
                            "shared_at": _SHARE["shared_at"],
                            "messages": [
                                {
                                    "role": "user",
                                    "content": "Name a famous person.",
                                    "timestamp": "2026-11-22T17:58:19.350Z",
                                }
                            ],
                        },
                    ),
                ),
                problems=LOOKING_UP,
            ),
        ),
    ),
)
