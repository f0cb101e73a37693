"""The sampling options, listed once: name, type and bounds, default, description.

The APIs' requests inherit them; the worker hands them to the engine by name. The defaults are
llama.cpp's.
"""

from typing import Annotated, Any, Final

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


def integer(value: object) -> object:
    """In JSON `2.0` is an integer like `2`; booleans are not."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def stop_list(value: object) -> object:
    """A single string is a list of one."""
    return [value] if isinstance(value, str) else value


def _number(value: object) -> object:
    """A JSON number; booleans and strings are not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("number", "must be a number")
    return value


# Bounds come before the validator; otherwise they would be missing in the JSON schema.
_A_NUMBER = BeforeValidator(_number)
Probability = Annotated[float, Field(ge=0, le=1), _A_NUMBER]
PositiveProbability = Annotated[float, Field(gt=0, le=1), _A_NUMBER]
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


def _option(default: Any, description: str) -> Any:
    """An option that a request may leave out: `default` is then what the worker uses.

    A request that leaves it out is stored without it, so its value here is None.
    """
    shown = None if default is None else {"default": default}
    return Field(default=None, description=description, json_schema_extra=shown)


class SharedSampling(BaseModel):
    """The options of every API, OpenAI's Responses included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: Temperature | None = _option(0.8, "Higher is more varied; 0 is greedy.")
    top_p: Probability | None = _option(
        0.95, "Draw from the likeliest tokens that have this probability together."
    )
    presence_penalty: Penalty | None = _option(
        0.0, "Subtracted from the logit of a token among the last 64."
    )
    frequency_penalty: Penalty | None = _option(
        0.0, "Subtracted from a token's logit for each time it is among the last 64."
    )
    ignore_eos: StrictBool = Field(
        default=False, description="Generate up to `max_tokens` or `stop`, past the model's end."
    )


class FullSampling(SharedSampling):
    """All options: of `POST /`, `POST /jobs` and OpenAI's chat completions.

    An option that is added here needs a field of the same name in the engine's `SamplingOptions`,
    with the same default, and its part in `worker/engine/sampler.py`.
    """

    max_tokens: Annotated[StrictInt, Field(ge=1), AN_INTEGER] | None = _option(
        None,
        "Tokens of the reply at most; the server has a default. What is above the window is cut.",
    )
    min_p: Probability | None = _option(
        0.05, "Leave out tokens less likely than this share of the likeliest token's probability."
    )
    top_k: Annotated[StrictInt, Field(ge=0, le=2**31 - 1), AN_INTEGER] | None = _option(
        40, "Draw from this many of the likeliest tokens; 0 is all."
    )
    seed: Annotated[StrictInt, Field(ge=-(2**53), le=2**53), AN_INTEGER] | None = _option(
        None, "The same seed draws the same tokens from the same logits; random if left out."
    )
    stop: Annotated[
        tuple[StopString, ...],
        BeforeValidator(stop_list),
        Field(max_length=8),
        WithJsonSchema(_STOP_SCHEMA),
    ] = Field(default=(), description="Texts that end the reply and are not part of it.")
    repeat_penalty: RepeatPenalty | None = _option(
        1.0, "Above 1 makes the last 64 tokens less likely, below 1 likelier."
    )
    typical_p: PositiveProbability | None = _option(
        1.0,
        "Draw from the tokens whose surprise is nearest to the expected one and that have this "
        "probability together (locally typical sampling); 1 is all.",
    )


_ORDER: Final = (
    "max_tokens", "temperature", "top_p", "min_p", "top_k", "seed", "stop", "repeat_penalty",
    "presence_penalty", "frequency_penalty", "ignore_eos",
)  # fmt: skip
"""How the first options are stored. Idempotency keys compare requests by their text, so that the
order must not change; options added later follow these."""


_MOST_TOKENS: Final = 2**53
"""No window is as large; larger integers cannot be stored as JSON."""


class Sampling(FullSampling):
    """How a reply is drawn from the model, as a request says it and its job stores it."""

    def stored(self) -> dict[str, Any]:
        """What differs from the defaults, in a stable order."""
        options = self.model_dump(exclude_defaults=True)
        first = {name: options.pop(name) for name in _ORDER if name in options}
        return first | options

    @field_validator("*", mode="before")
    @classmethod
    def _no_null(cls, value: object) -> object:
        if value is None:
            raise PydanticCustomError("null", "must not be null; leave the field out instead")
        return value

    @field_validator("max_tokens")
    @classmethod
    def _within_limit(cls, value: int, info: ValidationInfo) -> int:
        # Values above the window are cut to it, if the window is known.
        context = info.context or {}
        limit = context.get("max_tokens_limit")
        if limit is not None and min(value, context.get("window", value)) > limit:
            raise PydanticCustomError(
                "max_tokens", "must be at most {limit} on this server", {"limit": limit}
            )
        return min(value, _MOST_TOKENS)


def default_of(option: str) -> Any:
    """What the worker uses where a request does not say."""
    field = Sampling.model_fields[option]
    shown = field.json_schema_extra
    return shown["default"] if isinstance(shown, dict) else field.default
