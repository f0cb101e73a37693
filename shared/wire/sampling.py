"""The sampling options: names, types and bounds, listed once."""

from typing import Annotated

from pydantic import (
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

DEFAULT_TEMPERATURE = 0.8
DEFAULT_TOP_P = 0.95
"""What holds where a request is silent: llama.cpp's, as all other defaults of sampling."""


def integer(value: object) -> object:
    """In JSON `2.0` is an integer like `2`; booleans are none."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


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
AN_INTEGER = BeforeValidator(integer)
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
