"""What OpenAI's clients send, as far as it is supported; everything else is refused by name."""

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    Tag,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from api.http.incoming import parse
from shared.wire.sampling import AN_INTEGER, Sampling, SharedSampling

MAX_SCHEMA_DEPTH: Final = 64
ANY_OBJECT: Final = '{"type":"object"}'
_TEXT_PARTS: Final = ("text", "input_text", "output_text")


def shortened(value: object) -> str:
    """A value for a message; anything but a text can be of any size and depth."""
    return repr(value[:100]) if isinstance(value, str) else "this"


def is_absent(value: object) -> bool:
    """Whether a value means the same as leaving it out: null, or an object with nothing but nulls.

    An empty list counts, because some languages write an empty object as one.
    """
    return all(leaf is None or leaf == [] for leaf in _leaves(value))


def asks_for_nothing(value: object) -> bool:
    """Whether the value of an unknown field can be ignored."""
    return all(leaf is None or leaf in ([], "") for leaf in _leaves(value))


def _leaves(value: object) -> Iterator[object]:
    """What stands in an object and in those below it, however deep they are nested."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            waiting.extend(node.values())
        else:
            yield node


class RequestModel(BaseModel):
    """What a client sends, or an object in it.

    Clients send fields with empty values: these are treated as absent. An unknown field is refused
    by name if its value asks for anything.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _without_nothing(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        fields = {field.alias or name: field for name, field in cls.model_fields.items()}
        return {
            name: value for name, value in data.items() if not _is_needless(value, fields.get(name))
        }


def _is_needless(value: object, field: FieldInfo | None) -> bool:
    """Whether a value can be left out."""
    if field is None:
        return asks_for_nothing(value)
    return is_absent(value) and not field.is_required()


def _text_part(value: object) -> object:
    if value not in _TEXT_PARTS:
        raise PydanticCustomError("part", "only text is supported here")
    return value


class TextPart(RequestModel):
    """A part of a message's content. Only text is supported.

    What else a part of a reply has (annotations, logprobs) is ignored.
    """

    model_config = ConfigDict(extra="ignore")

    type: Annotated[Literal["text", "input_text", "output_text"], BeforeValidator(_text_part)]
    text: StrictStr

    @model_validator(mode="before")
    @classmethod
    def _refusal_is_text(cls, data: Any) -> Any:
        """A refusal by another server is what its assistant wrote."""
        if isinstance(data, dict) and data.get("type") == "refusal":
            return {"type": "output_text", "text": data.get("refusal")}
        return data


def text_or_list(value: object) -> str:
    """The union's member for a value, named as no field can be."""
    return (
        "<text>" if isinstance(value, str) else "<list>" if isinstance(value, list) else "<other>"
    )


TEXT_OR_LIST: Final = Discriminator(
    text_or_list,
    custom_error_type="text_or_list",
    custom_error_message="must be a string or a list",
)

Content = Annotated[
    Annotated[StrictStr, Tag("<text>")] | Annotated[tuple[TextPart, ...], Tag("<list>")],
    TEXT_OR_LIST,
]


def text_of(content: str | tuple[TextPart, ...]) -> str:
    """The text of a message's content, in one piece."""
    return content if isinstance(content, str) else "".join(part.text for part in content)


def _nothing(value: object) -> tuple[()]:
    if not asks_for_nothing(value):
        raise PydanticCustomError("unsupported", "is not supported")
    return ()


Nothing = Annotated[tuple[()], BeforeValidator(_nothing)]
"""A field that is accepted as long as it is empty."""


def bounded_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema that is not nested too deeply; its keywords are checked by the worker."""
    level: list[Any] = [schema]
    for _ in range(MAX_SCHEMA_DEPTH):
        level = [
            below
            for node in level
            if isinstance(node, dict | list)
            for below in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return schema
    raise PydanticCustomError("schema", "is nested too deep")


Schema = Annotated[dict[str, Any], AfterValidator(bounded_schema), Field(alias="schema")]


class TextFormat(RequestModel):
    """A reply of any form."""

    type: Literal["text"]


class ObjectFormat(RequestModel):
    """A reply that is a JSON object."""

    type: Literal["json_object"]


def tag_of_format(value: object) -> str:
    """The union's member for a format, named as no field can be."""
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"<{kind}>"


FORMAT_TYPE: Final = Discriminator(
    tag_of_format,
    custom_error_type="format",
    custom_error_message="its type must be text, json_object or json_schema",
)


class StreamOptions(RequestModel):
    """Options of a stream; unknown flags are ignored, because they add nothing that we send."""

    model_config = ConfigDict(extra="ignore")

    include_usage: StrictBool = False


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return {name: item for name, item in value.items() if item is not None}
    return value


MetadataValue = Annotated[StrictStr, Field(max_length=512)]
MetadataName = Annotated[StrictStr, Field(max_length=64)]
Metadata = Annotated[
    dict[MetadataName, MetadataValue], BeforeValidator(_without_nulls), Field(max_length=16)
]

ModelName = Annotated[
    StrictStr,
    Field(
        description="Which model replies. Where workers run one model, any name is taken; of "
        "several an unknown one is refused. Without a name it is the one that the conversation "
        "has named before, else `PALAVER_DEFAULT_MODEL`."
    ),
]
TokenCount = Annotated[StrictInt, Field(ge=1, le=2**53), AN_INTEGER]


class Bookkeeping(RequestModel):
    """Fields for the client's own use, and those that ask for what happens anyway."""

    user: StrictStr | None = None
    safety_identifier: StrictStr | None = None
    prompt_cache_key: StrictStr | None = None
    prompt_cache_retention: StrictStr | None = None
    prompt_cache_options: dict[str, Any] | None = None
    service_tier: StrictStr | None = None


def sampling_of(
    request: SharedSampling, max_tokens: int | None, max_tokens_limit: int, **options: Any
) -> Sampling:
    """The sampling options that a request sets, by the names that `Sampling` has for them.

    Args:
        max_tokens: what the client asks for; more than this server allows is cut to that.
        options: in place of the request's own.
    """
    values = request.model_dump(include=set(Sampling.model_fields)) | options
    values["max_tokens"] = None if max_tokens is None else min(max_tokens, max_tokens_limit)
    return parse(Sampling, {name: value for name, value in values.items() if value is not None})
