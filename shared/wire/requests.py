"""What clients ask for.

Pydantic models, because strangers write them and every wrong field is to be named.
"""

from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from shared.ids import MAX_CONVERSATION

DEFAULT_TEMPERATURE = 0.8
DEFAULT_TOP_P = 0.95
"""What holds where a request is silent: llama.cpp's, as all other defaults of sampling."""

_ID_PATTERN = r"^([1-9][0-9]{0,14}|[1-8][0-9]{15})$"


def _not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "must not be blank")
    return text


def _integer(value: object) -> object:
    """In JSON `2.0` is an integer like `2`; booleans are none."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _conversation_id(value: object) -> object:
    """An integer, or the same as a string of digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 16:
        return value if value.startswith("0") else int(value)
    return _integer(value)


def stop_list(value: object) -> object:
    """One string, or several."""
    return [value] if isinstance(value, str) else value


def _number(value: object) -> object:
    """A JSON number: an integer is one too, a boolean or a string is not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("number", "must be a number")
    return value


# Limits stand before the validator, so that they are part of the JSON schema.
_A_NUMBER = BeforeValidator(_number)
Probability = Annotated[float, Field(ge=0, le=1), _A_NUMBER]
Penalty = Annotated[float, Field(ge=-2, le=2), _A_NUMBER]
Temperature = Annotated[float, Field(ge=0, le=2), _A_NUMBER]
RepeatPenalty = Annotated[float, Field(gt=0, le=2), _A_NUMBER]
AN_INTEGER = BeforeValidator(_integer)
StopString = Annotated[StrictStr, Field(min_length=1, max_length=64)]
_STOP_SCHEMA = {
    "anyOf": [
        {"type": "string", "minLength": 1, "maxLength": 64},
        {
            "type": "array",
            "maxItems": 8,
            "items": {"type": "string", "minLength": 1, "maxLength": 64},
        },
    ]
}
_ID_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": MAX_CONVERSATION},
        {"type": "string", "pattern": _ID_PATTERN},
    ]
}


class Sampling(BaseModel):
    """How a reply is drawn from the model. What is absent is the worker's default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_tokens: Annotated[StrictInt, Field(ge=1), AN_INTEGER] | None = None
    temperature: Temperature | None = None
    top_p: Probability | None = None
    min_p: Probability | None = None
    top_k: Annotated[StrictInt, Field(ge=0, le=2**31 - 1), AN_INTEGER] | None = None
    seed: Annotated[StrictInt, Field(ge=-(2**53), le=2**53), AN_INTEGER] | None = None
    stop: Annotated[
        tuple[StopString, ...],
        BeforeValidator(stop_list),
        Field(max_length=8),
        WithJsonSchema(_STOP_SCHEMA),
    ] = ()
    repeat_penalty: RepeatPenalty | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    ignore_eos: StrictBool = False

    @field_validator("*", mode="before")
    @classmethod
    def _no_null(cls, value: object) -> object:
        if value is None:
            raise PydanticCustomError("null", "must not be null; leave the field out instead")
        return value

    @field_validator("max_tokens")
    @classmethod
    def _within_limit(cls, value: int, info: ValidationInfo) -> int:
        # What is above the window is cut to it, where the window is known.
        context = info.context or {}
        limit = context.get("max_tokens_limit")
        if limit is not None and min(value, context.get("window", value)) > limit:
            raise PydanticCustomError(
                "max_tokens", "must be at most {limit} on this server", {"limit": limit}
            )
        return value


class ChatRequest(Sampling):
    """The body of `POST /`: one prompt, to a new conversation or to an old one.

    Validation context: `max_tokens_limit`, the most tokens this server lets one ask for, and the
    `window`, which bounds every reply, whatever was asked for.
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
    replace_from: Annotated[StrictInt, Field(ge=1, le=2**53), AN_INTEGER] | None = None

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
