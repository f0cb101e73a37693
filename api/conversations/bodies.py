"""Bodies of `PATCH /conversations/{id}` and `POST /conversations`."""

from typing import Annotated, Final

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictStr
from pydantic_core import PydanticCustomError

from shared.wire.conversation_edit import ConversationEdit
from shared.wire.memory import MemoryMode
from shared.wire.summary import LONGEST_SUMMARY

_LONGEST_TITLE: Final = 200


def not_blank(text: str) -> str:
    """A text of more than white space."""
    if not text.strip():
        raise PydanticCustomError("blank", "must not be blank")
    return text


Title = Annotated[
    StrictStr,
    AfterValidator(not_blank),
    Field(min_length=1, max_length=_LONGEST_TITLE, json_schema_extra={"pattern": r"\S"}),
]
Metadata = Annotated[
    dict[
        Annotated[StrictStr, Field(max_length=64)],
        Annotated[StrictStr, Field(max_length=512)],
    ],
    Field(max_length=16),
]


class ConversationChanges(BaseModel):
    """The body of `PATCH /conversations/{id}`: what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Annotated[Title | None, Field(description="Null takes away what was set.")] = None
    pinned: Annotated[
        StrictBool, Field(description="Lists show it; it does not change their order.")
    ] = False
    metadata: Annotated[
        Metadata | None, Field(description="In place of what there was; null is `{}`.")
    ] = None

    memory: Annotated[
        MemoryMode | None,
        Field(description="From the next turn on; null leaves it to `PALAVER_MEMORY`."),
    ] = None

    def edit(self) -> ConversationEdit:
        """The change."""
        sent = self.model_fields_set
        return ConversationEdit(
            title=self.title or "" if "title" in sent else None,
            is_pinned=self.pinned if "pinned" in sent else None,
            metadata=encoded(self.metadata) if "metadata" in sent else None,
            memory=self.memory or "" if "memory" in sent else None,
        )


class MessageChanges(BaseModel):
    """The body of `PATCH /conversations/{id}/messages/{number}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pinned: Annotated[StrictBool, Field(description="Whether its turn is always in view.")]


class MemoryChanges(BaseModel):
    """The body of `PATCH /conversations/{id}/memory`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    summary: Annotated[
        str,
        Field(
            max_length=LONGEST_SUMMARY,
            description="What the model is told of the turns out of view; as much of it as "
            "`PALAVER_SUMMARY_TOKENS` has room for.",
        ),
    ]


def encoded(metadata: dict[str, str] | None) -> str:
    """Metadata as they are stored."""
    return orjson.dumps(metadata or {}).decode()
