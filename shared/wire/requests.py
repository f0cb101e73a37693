"""What clients send to `POST /` and `POST /jobs`.

Pydantic models, as clients may send anything and every wrong field must be named.
"""

from typing import Annotated

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from shared.ids import MAX_CONVERSATION
from shared.wire.sampling import AN_INTEGER, Sampling, integer
from shared.wire.turn_request import Thinking

_ID_PATTERN = r"^([1-9][0-9]{0,14}|[1-8][0-9]{15})$"


def _not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "must not be blank")
    return text


def _conversation_id(value: object) -> object:
    """An integer, or its digits as a string."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 16:
        return value if value.startswith("0") else int(value)
    return integer(value)


_ID_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": MAX_CONVERSATION},
        {"type": "string", "pattern": _ID_PATTERN},
    ]
}


class ChatRequest(Sampling):
    """The body of `POST /`: a prompt for a new or an existing conversation.

    Validation context: `max_tokens_limit`, the largest `max_tokens` that this server accepts, and
    the `window`, which bounds every reply.
    """

    model_config = ConfigDict(json_schema_extra={"dependentRequired": {"replace_from": ["id"]}})

    prompt: Annotated[
        StrictStr,
        AfterValidator(_not_blank),
        Field(min_length=1, json_schema_extra={"pattern": r"\S"}),
    ]
    id: (
        Annotated[
            StrictInt,
            Field(ge=1, le=MAX_CONVERSATION),
            BeforeValidator(_conversation_id),
            WithJsonSchema(_ID_SCHEMA),
        ]
        | None
    ) = None
    context: StrictStr | None = None
    model: Annotated[
        StrictStr | None,
        Field(
            description="Which model replies, here and in later turns that name none. Where "
            "workers run one model, any name is taken; of several an unknown one is refused."
        ),
    ] = None
    replace_from: Annotated[StrictInt, Field(ge=1, le=2**53), AN_INTEGER] | None = None
    reasoning: Thinking = "auto"

    @field_validator("replace_from")
    @classmethod
    def _replace_needs_id(cls, value: int, info: ValidationInfo) -> int:
        if "id" in info.data and info.data["id"] is None:
            raise PydanticCustomError("replace_from", "needs the id of a conversation")
        return value

    def sampling(self) -> Sampling:
        """The sampling options alone."""
        return Sampling.model_construct(
            **{name: getattr(self, name) for name in Sampling.model_fields}
        )
