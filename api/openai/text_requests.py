"""What `/v1/completions` and `/v1/embeddings` are sent."""

from typing import Annotated, Final, Literal

from pydantic import (
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from api.openai.biases import LogitBias
from api.openai.requests import Bookkeeping, ModelName, StreamOptions, sampling_of
from shared.wire.sampling import AN_INTEGER, FullSampling, Sampling
from shared.wire.turn_request import TurnRequest

_MOST_CHOICES: Final = 8
_MOST_TEXTS: Final = 2048
"""To be embedded in a request; OpenAI's."""
_MOST_PER_TURN: Final = 256
"""Texts of a turn: their vectors pass through Redis in one piece."""
_TOKEN_IDS: Final = 2**31
_DEFAULT_LENGTH: Final = 16
"""Of a completion; OpenAI's."""
_SEEDS: Final = 2**53


def _texts(value: object) -> object:
    """A string or a list of strings; token ids are another model's."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list):
        raise PydanticCustomError("texts", "must be a string or a list of strings")
    if any(isinstance(text, int | list) for text in texts):
        raise PydanticCustomError("token_ids", "token ids are not supported: send text")
    return texts


def _inputs(value: object) -> tuple[str | tuple[int, ...], ...]:
    """Texts, or the model's token ids of them; of one text, or in a list of texts."""
    is_one = isinstance(value, str) or (isinstance(value, list) and _is_ids(value))
    inputs = [value] if is_one else value
    if not isinstance(inputs, list) or not all(map(_is_input, inputs)):
        raise PydanticCustomError(
            "inputs", "must be text, a list of texts, a list of token ids or a list of such lists"
        )
    if not all(inputs):
        raise PydanticCustomError("empty_input", "no text may be empty")
    return tuple(one if isinstance(one, str) else tuple(one) for one in inputs)


def _is_input(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and (not value or _is_ids(value)))


def _is_ids(value: list[object]) -> bool:
    return bool(value) and all(
        isinstance(token, int) and not isinstance(token, bool) and 0 <= token < _TOKEN_IDS
        for token in value
    )


def _schema_of_texts(most: int) -> WithJsonSchema:
    text = {"type": "string", "minLength": 1}
    texts = {"type": "array", "items": text, "minItems": 1, "maxItems": most}
    return WithJsonSchema({"anyOf": [text, texts]})


def _schema_of_inputs() -> WithJsonSchema:
    text = {"type": "string", "minLength": 1}
    token = {"type": "integer", "minimum": 0, "maximum": _TOKEN_IDS - 1}
    tokens = {"type": "array", "items": token, "minItems": 1}
    items = {"anyOf": [text, tokens]}
    texts = {"type": "array", "items": items, "minItems": 1, "maxItems": _MOST_TEXTS}
    return WithJsonSchema({"anyOf": [text, tokens, texts]})


_Text = Annotated[StrictStr, Field(min_length=1)]


def _no_suffix(value: object) -> str:
    if value:
        raise PydanticCustomError("unsupported", "is not supported")
    return ""


class CompletionRequest(Bookkeeping, FullSampling):
    """The body of `POST /v1/completions`: text that the model continues, without a template."""

    model: ModelName = ""
    prompt: Annotated[
        tuple[_Text, ...],
        Field(min_length=1, max_length=_MOST_CHOICES),
        BeforeValidator(_texts),
        _schema_of_texts(_MOST_CHOICES),
    ]
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[StrictInt, Field(ge=1, le=_MOST_CHOICES), AN_INTEGER] | None = None
    logprobs: Annotated[StrictInt, Field(ge=0, le=5), AN_INTEGER] | None = None
    seed: Annotated[StrictInt, Field(ge=-(2**63), le=2**63 - 1), AN_INTEGER] | None = None
    logit_bias: LogitBias = ()
    echo: Literal[False] | None = None
    best_of: StrictInt | None = None
    suffix: Annotated[str, BeforeValidator(_no_suffix)] = ""

    @field_validator("best_of")
    @classmethod
    def _shows_all(cls, value: int | None, info: ValidationInfo) -> int | None:
        """Every reply that is generated is also a choice."""
        if value not in (None, info.data.get("n") or 1):
            raise PydanticCustomError("best_of", "must be the same as n, if it is set")
        return value

    def turns(self, max_tokens_limit: int) -> tuple[TurnRequest, ...]:
        """What workers are to do: for each prompt in turn all its choices.

        Raises:
            ValueError: there would be too many.
        """
        each = self.n or 1
        if each * len(self.prompt) > _MOST_CHOICES:
            raise ValueError(f"prompts and n together ask for more than {_MOST_CHOICES} choices")
        return tuple(
            self._turn(prompt, number, max_tokens_limit)
            for prompt in self.prompt
            for number in range(each)
        )

    def _turn(self, prompt: str, number: int, max_tokens_limit: int) -> TurnRequest:
        seed = None if self.seed is None else (self.seed + number) % _SEEDS
        max_tokens = self.max_tokens or _DEFAULT_LENGTH
        return TurnRequest(
            prompt=prompt,
            context=None,
            replace_from=None,
            sampling=sampling_of(self, max_tokens, max_tokens_limit, seed=seed),
            is_plain=True,
            logit_bias=self.logit_bias,
            top_logprobs=self.logprobs,
        )


class EmbeddingsRequest(Bookkeeping):
    """The body of `POST /v1/embeddings`: texts, each of which becomes a vector."""

    model: ModelName = ""
    input: Annotated[
        tuple[str | tuple[int, ...], ...],
        Field(min_length=1, max_length=_MOST_TEXTS),
        BeforeValidator(_inputs),
        _schema_of_inputs(),
    ]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[StrictInt, Field(ge=1), AN_INTEGER] | None = None

    def turns(self) -> tuple[TurnRequest, ...]:
        """What workers are to do, in the order of the texts."""
        return tuple(
            TurnRequest(
                prompt="",
                context=None,
                replace_from=None,
                sampling=Sampling(max_tokens=1),
                to_embed=self.input[begin : begin + _MOST_PER_TURN],
                texts_before=begin,
            )
            for begin in range(0, len(self.input), _MOST_PER_TURN)
        )
