"""What clients send to `POST /` and `POST /jobs`.

Pydantic models, as clients may send anything and every wrong field must be named.
"""

from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from shared.ids import MAX_CONVERSATION
from shared.wire.memory import MemoryMode, RecallScope
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


_ABSENT: Final = object()
"""A prompt that was not sent."""
_RULES: Final[dict[str, Any]] = {
    "dependentRequired": {"replace_from": ["id"], "continue": ["id"]},
    "oneOf": [
        {"required": ["prompt"], "not": {"required": ["continue"]}},
        {
            "required": ["continue"],
            "not": {"anyOf": [{"required": ["prompt"]}, {"required": ["replace_from"]}]},
        },
    ],
}


def _true(value: object) -> object:
    """In JSON 1 is not true."""
    if value is not True:
        raise PydanticCustomError("continue", "must be true, or left out")
    return value


class ChatRequest(Sampling):
    """The body of `POST /`: a prompt for a new or an existing conversation.

    Validation context: `max_tokens_limit`, the largest `max_tokens` that this server accepts, and
    the `window`, which bounds every reply.
    """

    model_config = ConfigDict(json_schema_extra=_RULES)

    id: (
        Annotated[
            StrictInt,
            Field(ge=1, le=MAX_CONVERSATION),
            BeforeValidator(_conversation_id),
            WithJsonSchema(_ID_SCHEMA),
        ]
        | None
    ) = None
    continues: Annotated[
        bool,
        BeforeValidator(_true),
        WithJsonSchema({"type": "boolean", "const": True}),
    ] = Field(default_factory=bool, alias="continue")
    prompt: Annotated[
        StrictStr,
        AfterValidator(_not_blank),
        Field(min_length=1, json_schema_extra={"pattern": r"\S"}),
    ] = Field(default_factory=lambda: _ABSENT, validate_default=True)
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
    memory: Annotated[
        MemoryMode | None,
        Field(
            description="What becomes of turns that leave the window, from this turn on; kept with "
            "the conversation when the turn completes."
        ),
    ] = None
    recall: Annotated[
        RecallScope,
        Field(
            description="`all`: what the prompt speaks of is quoted to the model from all your "
            "conversations, for this turn. Refused where nobody may list them."
        ),
    ] = "own"

    @field_validator("continues", "replace_from")
    @classmethod
    def _needs_id(cls, value: Any, info: ValidationInfo) -> Any:
        if "id" in info.data and info.data["id"] is None:
            raise PydanticCustomError("needs_id", "needs the id of a conversation")
        return value

    @field_validator("prompt", mode="wrap")
    @classmethod
    def _prompt_or_continue(
        cls, value: object, handler: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> str:
        if value is not _ABSENT:
            cls._is_new(value, info)
            prompt: str = handler(value)
            return prompt
        if "continues" in info.data and not info.data["continues"]:
            raise PydanticCustomError("missing", "Field required")
        return ""

    @field_validator("replace_from", mode="before")
    @classmethod
    def _is_new(cls, value: object, info: ValidationInfo) -> object:
        if value is not None and info.data.get("continues"):
            raise PydanticCustomError("continues", "must be left out with continue")
        return value

    def sampling(self) -> Sampling:
        """The sampling options alone."""
        return Sampling.model_construct(
            **{name: getattr(self, name) for name in Sampling.model_fields}
        )
