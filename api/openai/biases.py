"""`logit_bias` of both kinds of completions."""

from typing import Annotated, Final

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

_MOST: Final = 1024
_LARGEST: Final = 100.0
_SCHEMA: Final = {
    "type": "object",
    "maxProperties": _MOST,
    "propertyNames": {"pattern": "^[0-9]{1,7}$"},
    "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100},
}


def _biases(value: object) -> object:
    """`{"123": -100}` as pairs of a token id and a bias."""
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise PydanticCustomError("logit_bias", "must be an object of token ids and numbers")
    return tuple((_token(token), _bias(bias)) for token, bias in value.items())


def _token(name: object) -> int:
    if not (isinstance(name, str) and name.isascii() and name.isdigit() and len(name) < 8):
        raise PydanticCustomError("logit_bias", "its names must be token ids")
    return int(name)


def _bias(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _LARGEST:
        raise PydanticCustomError("logit_bias", "its values must be numbers from -100 to 100")
    return float(value)


LogitBias = Annotated[
    tuple[tuple[int, float], ...],
    BeforeValidator(_biases),
    Field(max_length=_MOST),
    WithJsonSchema(_SCHEMA),
]
"""Pairs of a token and what is added to its logit."""
