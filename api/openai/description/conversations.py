"""The routes of stored conversations under `/v1`."""

from typing import Final

from api.description.problems import READING_BODY, STORING
from api.description.route import Answer, Body, Operation, Parameter, Route
from api.openai import examples, schemas
from api.openai.conversation_requests import ConversationUpdate, NewConversation, NewItems
from api.openai.description.stored import LISTING, LOOKING_UP, PAGING

CONVERSATIONS: Final = "OpenAI: conversations"
_CONVERSATION: Final = Parameter(
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

ROUTES: Final = (
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
        parameters=(_CONVERSATION,),
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
                problems=LOOKING_UP,
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
                problems=(*READING_BODY, *LOOKING_UP),
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
                problems=LOOKING_UP,
            ),
        ),
    ),
    Route(
        path="/v1/conversations/{conversation}/items",
        parameters=(_CONVERSATION,),
        operations=(
            Operation(
                method="GET",
                id="openaiListItems",
                tag=CONVERSATIONS,
                summary="List a conversation's messages",
                parameters=PAGING,
                answers=(
                    Answer(
                        description="A page of items.",
                        kind=schemas.ItemList,
                        example=examples.ITEMS,
                    ),
                ),
                problems=LISTING,
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
        parameters=(_CONVERSATION, _ITEM),
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
                problems=LISTING,
            ),
        ),
    ),
)
